# The gains beside those of the report
rows = []
for gain in verdict["gains"]:
    found = gain["comparison"]
    if found is None:
        continue
    known = metric in ("auroc", "accuracy") and found["method"] == "two_way_t"
    rows.append({"candidate": gain["candidate"], "gain": found["difference"], "low": found["interval"][0], "high": found["interval"][1], "computed again": known})
    if not known:
        continue
    baseline, candidate = paired(seeds_of(gain["baseline"]), seeds_of(gain["candidate"]))
    classes = classes_of(baseline[0])
    settings = [line for line in (folder / "runs" / complete["run"].iloc[0] / "config.toml").read_text().splitlines() if line.startswith("positive = ")]
    positive = json.loads(settings[0].split(" = ", 1)[1]) if settings else classes[min(1, len(classes) - 1)]
    difference, error, df = two_way(baseline, candidate, positive)
    if error > 0:
        ends = [
            difference - stats.t.ppf(0.5 + 0.5 * found["lower_level"], df) * error,
            difference + stats.t.ppf(0.5 + 0.5 * found["upper_level"], df) * error,
        ]
        assert np.allclose([difference, *ends], [found["difference"], *found["interval"]], atol=1e-9), gain["candidate"]
again = sum(row["computed again"] for row in rows)
print(f"{again} of {len(rows)} gains were computed again from the predictions and agree to 1e-9")
if again < len(rows):
    print("The others were not: this notebook computes auroc and accuracy over seeds and items")
pd.DataFrame(rows)
