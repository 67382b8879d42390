# The interval over seeds and items, computed anew
def influence(file, positive):
    """The score of a file, and what each item adds to its deviation."""
    classes = classes_of(file)
    labels = file["label"].to_numpy()
    if metric == "accuracy":
        right = (file["prediction"].to_numpy() == labels).astype(float)
        return right.mean(), (right - right.mean()) / len(right)
    ranked = [positive] if len(classes) == 2 else classes
    areas, parts = [], np.zeros(len(file))
    for name in ranked:
        at = classes.index(name)
        if "logits" in file and file["logits"].notna().all() and len(classes) == 2:
            logits = np.stack(file["logits"].to_numpy()).astype(float)
            values = logits[:, at] - logits[:, 1 - at]
        else:
            values = np.array([row[name] for row in file["probabilities"]])
        truth = labels == name
        ranks, n1, n0 = stats.rankdata(values), truth.sum(), (~truth).sum()
        own = np.empty(len(values))
        own[truth], own[~truth] = stats.rankdata(values[truth]), stats.rankdata(values[~truth])
        placement = np.where(truth, (ranks - own) / n0, 1 - (ranks - own) / n1)  # DeLong's
        area = placement[truth].mean()
        areas.append(area)
        parts += np.where(truth, (placement - area) / n1, (placement - area) / n0) / len(ranked)
    return np.mean(areas), parts


def covariance(parts, file, positive):
    """The covariance of all files due to items, and its degrees of freedom."""
    labels = file["label"].to_numpy()
    groups = file["group"] if "group" in file else pd.Series(None, index=file.index, dtype=object)
    known = groups.notna().to_numpy()
    clusters = np.where(known, groups.astype(str), [f"alone {at}" for at in range(len(file))])
    shared = pd.Series(clusters).duplicated().any()
    if metric == "auroc" and len(classes_of(file)) == 2 and not shared:
        truth = labels == positive
        n1, n0 = truth.sum(), (~truth).sum()
        one, none = parts[:, truth], parts[:, ~truth]
        return one @ one.T * n1 / (n1 - 1) + none @ none.T * n0 / (n0 - 1), np.inf
    sums = pd.DataFrame(parts.T).groupby(clusters).sum().to_numpy()
    count = len(sums)
    return sums.T @ sums * count / (count - 1), count - 1


def two_way(baseline, candidate, positive):
    """Difference of means, standard error, degrees of freedom (Obuchowski and Rockette; Hillis)."""
    found = [influence(file, positive) for file in baseline + candidate]
    values, parts = np.array([at[0] for at in found]), np.stack([at[1] for at in found])
    matrix, item_df = covariance(parts, baseline[0], positive)
    a, b = len(baseline), len(candidate)
    off = lambda block: (block.sum() - np.trace(block)) / (len(block) * (len(block) - 1))
    common = off(matrix[:a, :a]) + off(matrix[a:, a:]) - 2 * matrix[:a, a:].mean()
    v_a, v_b = values[:a].var(ddof=1) / a, values[a:].var(ddof=1) / b
    variance = v_a + v_b + max(0.0, common)
    spread = v_a**2 / (a - 1) + v_b**2 / (b - 1)
    df = min(variance**2 / spread if spread > 0 else np.inf, item_df)
    return values[a:].mean() - values[:a].mean(), np.sqrt(variance), df
