# The runs, from Parquet and from CSV
runs = pd.read_parquet(folder / "runs.parquet")
table = pd.read_csv(folder / "runs.csv")
assert list(runs.columns) == list(table.columns)
for column in runs.select_dtypes("number").columns:
    assert np.allclose(runs[column].astype(float), table[column].astype(float), rtol=1e-12, equal_nan=True), column
complete = runs[runs["status"] == "complete"]
print(f"{len(complete)} of {len(runs)} runs are complete")
complete.pivot_table(index=["model", "arm"], values=[f"test:{metric}"], aggfunc=["mean", "std", "count"])
