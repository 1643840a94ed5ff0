"""What is sent again: whole prompts whose answer was there, and beginnings of prompts. Pure."""

from __future__ import annotations

from reports.savings.found import Found
from reports.savings.model import Evidence, Saving
from sinks.amounts import duration_text

RECORDING = (
    "`spendstream report savings` records those of today's price book, and `spendstream reprice` "
    "rates past calls by it"
)


def duplicates(found: Found) -> Saving:
    """The same prompt answered again although an answer was there."""
    hashed = sum(one.hashed for one in found.cautious)
    saved = found.range_of(lambda one: one.duplicate_saved) if hashed else None
    window = duration_text(found.terms.answer_window)
    missing = []
    if found.calls < found.waste.calls:
        missing.append(
            f"the archive has {found.calls:,} of the {found.waste.calls:,} calls of the ledger; "
            "what it lacks cannot be looked at"
        )
    if hashed < found.calls:
        missing.append(
            f"{found.calls - hashed:,} of {found.calls:,} calls have no prompt_hash, so nobody "
            "knows whether they repeat one: let the producer send it"
        )
    if unknown := sum(one.unknown_duplicates for one in found.hopeful):
        missing.append(f"{unknown:,} duplicates whose cost is not known")
    return Saving(
        kind="duplicates",
        title="Duplicate requests",
        looked_at="calls with a prompt_hash",
        calls=hashed,
        cost=found.range_of(lambda one: one.hashed_cost).low,
        alone=saved,
        added=saved,
        evidence=(
            Evidence("duplicates within a team", sum(one.duplicates for one in found.cautious)),
            Evidence("duplicates of anybody's", sum(one.duplicates for one in found.hopeful)),
        ),
        assumptions=(
            f"A gateway's cache keeps an answer for {window} after it was last given, and to the "
            "same prompt (prompt_hash) of the same model the same answer may be given.",
            "Low: each team has a cache of its own, and the newest answer was there when the call "
            "began. High: one cache for all, and a call waits for an answer that is on its way.",
            "Retries, failed calls, shadows, and what a cache answered are no duplicates.",
        ),
        not_estimated=tuple(missing),
        sql=found.asked.both("sum(duplicate_saved)").text,
    )


def prefixes(found: Found) -> Saving:
    """The same beginning of a prompt billed in full again and again."""
    terms, prefixed = found.terms, sum(one.prefixed for one in found.cautious)
    tokens = sum(one.prefix_tokens for one in found.hopeful)
    unrated = sum(one.unrated_tokens for one in found.hopeful)
    known = prefixed > 0 and (unrated < tokens or tokens == 0)
    return Saving(
        kind="prefixes",
        title="Cacheable prefixes",
        looked_at="calls with a prefix_hash",
        calls=prefixed,
        cost=found.range_of(lambda one: one.prefixed_cost).low,
        alone=found.range_of(lambda one: one.prefix_saved) if known else None,
        added=found.range_of(lambda one: one.next_prefix_saved) if known else None,
        evidence=(
            Evidence("calls that repeat a prefix", sum(one.repeats for one in found.hopeful)),
            Evidence(
                "repeated tokens billed in full, within a team",
                sum(one.prefix_tokens for one in found.cautious),
            ),
            Evidence("repeated tokens billed in full, of anybody's", tokens),
        ),
        assumptions=(
            f"The provider's cache keeps a prefix for {duration_text(terms.prefix_lifetime)} after "
            "its last use, and every repeat of it in that time is read from there: at the cache "
            "read rate of the call's own price instead of its input rate.",
            "Where the provider charges for writing, the first call of a row pays it. Low: each "
            "team has a cache of its own, and prefixes that nobody repeats are written too. High: "
            "all teams share one, and only what is repeated is written.",
            f"Prefixes of fewer than {terms.least_prefix_tokens:,} tokens are left out, and so is "
            "what a cache served or stored.",
        ),
        not_estimated=tuple(_without_prefixes(found, prefixed, unrated)),
        sql=found.asked.both("sum(prefix_saved)").text,
    )


def _without_prefixes(found: Found, prefixed: int, unrated: int) -> list[str]:
    missing = []
    if prefixed < found.calls:
        missing.append(
            f"{found.calls - prefixed:,} of {found.calls:,} calls have no prefix_hash, or under "
            f"{found.terms.least_prefix_tokens:,} prefix_tokens: let the producer send both"
        )
    if unrated:
        models = sorted(
            {f"{one.provider}/{one.model}" for one in found.hopeful if one.unrated_tokens}
        )
        missing.append(
            f"{unrated:,} repeated tokens of {', '.join(models)}: no input and cache read rates "
            f"are recorded for the prices of these calls; {RECORDING}"
        )
    return missing
