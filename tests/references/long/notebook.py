# Runs analysis.ipynb of every results folder with Jupyter's own tool, and reads runs.parquet with pandas.
#
# Versions: Python 3.11, nbclient 0.11.0, nbformat 5.11.1, ipykernel 7.4.0, pandas 3.1.1, pyarrow 26.0.1,
#           matplotlib 3.11.2, scipy 1.17.1 (tests/references/requirements.txt)
# Run:      cargo xtask experiment hateful_memes && cargo xtask references notebook
#
# The notebook itself asserts that gains and intervals, computed again from the predictions by numpy and
# scipy, agree with the report to 1e-9: sums of a few thousand numbers in another order.
from pathlib import Path

import nbformat
import pandas
from nbclient import NotebookClient

root = Path(__file__).resolve().parents[3]
folders = sorted(path.parent for path in (root / "results").glob("*/analysis.ipynb"))
if not folders:
    raise SystemExit("results/ has no analysis.ipynb; run `cargo xtask experiment hateful_memes` first")
for folder in folders:
    notebook = nbformat.read(folder / "analysis.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    said = [output["text"] for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == "stream"]
    again = [line for text in said for line in text.splitlines() if "computed again" in line]
    assert again, said
    drawn = sum("image/png" in output.get("data", {}) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    assert drawn == 2, f"{drawn} figures"

    runs = pandas.read_parquet(folder / "runs.parquet")
    table = pandas.read_csv(folder / "runs.csv", dtype={"fingerprint": str, "settings": str})
    assert list(runs.columns) == list(table.columns) and len(runs) == len(table)
    for column in runs.columns:
        ours, theirs = runs[column], table[column]
        if pandas.api.types.is_numeric_dtype(ours) and ours.dtype != bool:
            pandas.testing.assert_series_equal(ours.astype(float), theirs.astype(float), rtol=1e-15)
        else:
            assert (ours.fillna("").astype(str) == theirs.fillna("").astype(str)).all(), column
    print(f"{folder.relative_to(root)}: {again[0]}; {len(runs)} runs in Parquet as in CSV")
