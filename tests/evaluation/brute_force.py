"""Each figure by its definition, in plain loops over exact integers: slow, and nothing shared with the package."""

from fractions import Fraction


def distances(queries, gallery):
    """Squared distances of integer vectors, exact."""
    return [[sum((a - b) ** 2 for a, b in zip(x, y)) for y in gallery.tolist()] for x in queries.tolist()]


def order(row, right, counted):
    """Whether each record of the order is right: nearest first, and of equals the wrong ones first."""
    return [right[i] for i in sorted((i for i in range(len(row)) if counted[i]), key=lambda i: (row[i], right[i]))]


def retrieval(rows, labels, others, itself, at):
    """(recall by k, MAP@R, R-precision, queries, alone)."""
    recalls, maps, precisions, alone = [], [], [], 0
    for query, row in enumerate(rows):
        if labels[query] < 0:
            continue
        counted = [label >= 0 and not (itself and place == query) for place, label in enumerate(others)]
        found = order(row, [label == labels[query] for label in others], counted)
        num = sum(found)
        if not num:
            alone += 1
            continue
        recalls.append([any(found[:k]) for k in at])
        precisions.append(Fraction(sum(found[:num]), num))
        maps.append(sum(Fraction(sum(found[: i + 1]), i + 1) for i in range(min(num, len(found))) if found[i]) / num)
    count = len(recalls)
    recall = {k: float(Fraction(sum(each[i] for each in recalls), count)) for i, k in enumerate(at)}
    return recall, float(sum(maps) / count), float(sum(precisions) / count), count, alone


def reidentification(rows, labels, cameras, others, of_others, junk, at):
    """(CMC by rank, [(is right, -distance) of what counts, a list per query])."""
    hits, lists = [], []
    for query, row in enumerate(rows):
        if labels[query] < 0:
            continue
        same = [label == labels[query] for label in others]
        counted = [
            label >= 0 and label not in junk and not (alike and camera == cameras[query])
            for label, camera, alike in zip(others, of_others, same)
        ]
        found = order(row, same, counted)
        if any(found):
            hits.append([any(found[:rank]) for rank in at])
            lists.append([(same[i], -row[i]) for i in range(len(row)) if counted[i]])
    return {rank: sum(each[i] for each in hits) / len(hits) for i, rank in enumerate(at)}, lists


def fold_accuracies(scores, same, folds):
    """The accuracy of each fold, with the lowest of the best thresholds of the others, in the middle between two scores."""
    size, rest = divmod(len(scores), folds)
    start, found = 0, []
    for fold in range(folds):
        end = start + size + (fold < rest)
        others = [i for i in range(len(scores)) if not start <= i < end]
        values = sorted({scores[i] for i in others})
        tried = [values[0], *((a + b) / 2 for a, b in zip(values, values[1:])), values[-1] + 1]
        right = [sum((scores[i] >= each) == same[i] for i in others) for each in tried]
        threshold = tried[right.index(max(right))]
        found.append(sum((scores[i] >= threshold) == same[i] for i in range(start, end)) / (end - start))
        start = end
    return found
