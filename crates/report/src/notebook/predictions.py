# The predictions of the two sides of each comparison
def seeds_of(name):
    """The predictions of every complete seed of `model (arm)`, on the items that all have."""
    model, arm = name.rsplit(" (", 1)
    chosen = complete[(complete["model"] == model) & (complete["arm"] == arm.rstrip(")"))]
    files = [pd.read_parquet(folder / "runs" / run / "predictions" / f"{split}.parquet") for run, split in zip(chosen["run"], chosen["split"])]
    return [file.set_index("id") for file in files]


def paired(*sides):
    """Each file cut to the items that all files have, in one order."""
    files = [file for side in sides for file in side]
    ids = files[0].index
    for file in files:
        ids = ids[ids.isin(file.index)]
    # Items that no other run has are left out as the report leaves them out.
    for run, split in zip(complete["run"], complete["split"]):
        other = pd.read_parquet(folder / "runs" / run / "predictions" / f"{split}.parquet", columns=["id"])
        ids = ids[ids.isin(other["id"])]
    return [[file.loc[ids] for file in side] for side in sides]


def classes_of(file):
    return list(file["probabilities"].iloc[0].keys())
