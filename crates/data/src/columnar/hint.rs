//! The Arrow schema that many writers put into a footer beside Parquet's own.
//!
//! Its parts are found by offsets, and many may have the same: fourteen thousand bytes can stand for a
//! million columns with long names, all of which the Parquet library would make.

use arrow_ipc::root_as_message_with_opts;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flatbuffers::{InvalidFlatbuffer, VerifierOptions};
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::file::metadata::KeyValue;

/// How many times its own bytes the parts of a schema may come to, and how many in any case. Writers have
/// every column apart; what its offsets are counted from is shared, and comes to some three times.
const MOST_TIMES: usize = 16;
const MOST_OF_ANY: usize = 64 << 10;

/// Refuses a schema whose parts come to far more than it has bytes. What else is wrong with it the library
/// says.
pub(super) fn check(pairs: &[KeyValue]) -> Result<(), String> {
    let schemas = pairs.iter().filter(|pair| pair.key == ARROW_SCHEMA_META_KEY);
    for schema in schemas.filter_map(|pair| pair.value.as_deref()) {
        let Ok(bytes) = BASE64_STANDARD.decode(schema) else { continue };
        // The length before it is passed over, as in the library.
        let message = match bytes.get(8..) {
            Some(rest) if bytes.starts_with(&[0xff; 4]) && !rest.is_empty() => rest,
            _ => &bytes[..],
        };
        let most = message.len().saturating_mul(MOST_TIMES).saturating_add(MOST_OF_ANY);
        let options = VerifierOptions { max_apparent_size: most, ..VerifierOptions::default() };
        if let Err(InvalidFlatbuffer::ApparentSizeTooLarge) =
            root_as_message_with_opts(&options, message)
        {
            let bytes = message.len();
            return Err(format!(
                "{bytes} bytes of Arrow schema in its footer stand for over {most}"
            ));
        }
    }
    Ok(())
}
