//! A launcher of ranks and a build without MPI. Builds with it: `cargo xtask mpi`.

use crate::place::{Place, finish};

/// Started as one of several it would be the same run, several times.
#[test]
fn a_build_without_mpi_says_so_where_it_is_one_of_several_processes() {
    let place = Place::with_table();
    let started = |processes: &str| {
        let train =
            "train --model bert-tiny --dataset table --data-root data --max-steps 2 --out run";
        let mut command = place.command(train);
        command.env("OMPI_COMM_WORLD_SIZE", processes);
        finish(command)
    };
    let refused = started("4");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for words in ["`OMPI_COMM_WORLD_SIZE` is `4`", "--features mpi", "docs/mpi.md"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(!place.path("run").exists());
    started("1").done();
}
