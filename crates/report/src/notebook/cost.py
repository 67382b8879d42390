# Cost against score
figure, axes = plt.subplots(figsize=(8, 5))
for arm, marker, colour in [("both", "o", "#0072B2"), ("text", "s", "#D55E00"), ("image", "^", "#009E73")]:
    chosen = complete[complete["arm"] == arm]
    axes.scatter(chosen["flops_per_sample"] / 1e9, chosen[f"test:{metric}"], marker=marker, color=colour, label=arm)
axes.set_xscale("log")
axes.set_xlabel("GFLOP of the forward of a sample")
axes.set_ylabel(metric)
axes.set_title(f"{demo}{metric} of each run against its operations")
axes.legend()
figure.tight_layout()
plt.show()
