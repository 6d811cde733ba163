"""Summarize: the scores and seconds of all methods → one table of everything, and one of the means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ensir.scoring.rows import COLUMNS
from ensir.storage.atomic import written
from ensir.storage.digests import check_before_reading
from ensir.storage.layout import Place

if TYPE_CHECKING:
    import pandas as pd


def summarize(all_scores: Place, summary: Place, scores: list[str]) -> None:
    """Collect the scores and seconds of all methods into one table, and their means over images into another.

    Parameters
    ----------
    all_scores, summary : Place
        Where the two tables go. An image whose value is infinite for some method, such as the PSNR of a perfectly
        restored one, is left out of all means of that metric, so that methods are compared on the same images.
    scores : list of str
        Tables of single parts and methods. Experiments, datasets, methods and metrics keep the order in which they
        first appear, images are sorted by name: the tables do not depend on how a test set is divided into parts.
    """
    import pandas as pd

    names = dict.fromkeys(COLUMNS[:-1], str)
    for path in scores:
        check_before_reading(path)
    tables = [
        pd.read_csv(path, dtype=names, keep_default_na=False, na_values={"value": ["nan"]}) for path in scores
    ]
    rows = pd.concat(tables, ignore_index=True)
    rows["place"] = rows.groupby(["experiment", "dataset", "method"], sort=False).ngroup()
    rows["number"] = rows.groupby("experiment")["metric"].transform(lambda names: pd.factorize(names)[0])
    rows = rows.sort_values(["place", "image", "number"], kind="stable")
    keys = rows.groupby(list(COLUMNS[:-1]), sort=False, as_index=False)
    table = keys["value"].sum(min_count=1)  # the seconds of shards add up
    mean_of = ["experiment", "dataset", "method", "metric"]
    order = table.groupby(mean_of, sort=False).size().index
    means = table[_in_means(table)].groupby(mean_of, sort=False)["value"]
    summarized = (
        means.agg(mean=lambda values: values.mean(skipna=False), n="size").reindex(order).reset_index()
    )
    for place, columns in ((all_scores, table), (summary, summarized)):
        with written(place) as partial:
            columns.to_csv(partial, index=False, float_format="%.9g", na_rep="nan")


def _in_means(table: Any) -> pd.Series:
    """Return which values are in the means; see `ensir.scoring.scores.Scores.left_out`."""
    compared = [table[name] for name in ("experiment", "dataset", "metric")]
    infinite = table["value"].abs() == float("inf")
    some = infinite.groupby([*compared, table["image"]], sort=False).transform("any")
    return ~some | some.groupby(compared, sort=False).transform("all")
