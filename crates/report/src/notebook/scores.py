# Every arm with its 95 % interval and its seeds
scores = [score for score in verdict["scores"] if score["mean"] is not None]
figure, axes = plt.subplots(figsize=(8, 0.4 * len(scores) + 1.2))
for row, score in enumerate(scores):
    if score["interval"] is not None:
        axes.plot(score["interval"], [row, row], color="#0072B2")
    axes.plot(score["values"], [row] * len(score["values"]), "|", color="#D55E00")
    axes.plot(score["mean"], row, "o", color="#0072B2")
axes.set_yticks(range(len(scores)), [f"{score['model']} ({score['arm']})" for score in scores])
axes.invert_yaxis()
axes.set_xlabel(metric)
axes.set_title(f"{demo}{metric} on the test split")
figure.tight_layout()
plt.show()
