"""FOCUS 1.0 to 1.2, whoever wrote it: one CSV line for a charge of a period.

What is billed is `BilledCost`, in `BillingCurrency`. The model stands in the first of the columns
that name what was used; a file of ours names it in `x_Model`.
"""

from __future__ import annotations

import re

from streams.imports.source import Passed
from streams.invoices.formats import Format, Row, amount_text, days, first, number
from streams.invoices.line import Charge, Said
from streams.invoices.words import token_class, tokens_of

_SERVICE = re.compile(
    r"ai and machine learning|bedrock|openai|anthropic|vertex ai|gemini|foundry|cognitive services"
    r"|mistral|cohere",
    re.IGNORECASE,
)
_CHARGES: dict[str, Charge] = {"usage": "usage", "tax": "tax", "credit": "credit"}
_NAMES = ("x_model", "skumeter", "x_skumetername", "x_usagetype", "resourcename")


def _focus(row: Row) -> Said:
    service = [row.get(name, "") for name in ("servicecategory", "servicename", "publishername")]
    if not any(_SERVICE.search(name) for name in service):
        named = next(filter(None, service[1:]), "no service")
        raise Passed("another_service", f"is charged for {named}")
    said = first(row, "chargecategory").lower()
    charge: Charge = _CHARGES.get(said, "fee")
    text = first(row, "chargedescription")
    meter = first(row, *_NAMES) or text
    found = None
    if charge == "usage":
        found = token_class(first(row, "skumeter", "x_skumetername", "x_usagetype") or text)
        found = found or token_class(text)
    day, last = days(row, "UTC", ("chargeperiodstart",), ("chargeperiodend",))
    quantity = number(row, "consumedquantity", "pricingquantity")
    unit = first(row, "consumedunit", "pricingunit")
    tokens = tokens_of(quantity, unit)
    if charge == "usage" and found is None and tokens is None:
        charge = "fee"
    return Said(
        day,
        last,
        first(row, "subaccountid", "billingaccountid"),
        meter,
        first(row, "skumeter", "x_skumetername") or text or meter,
        charge,
        found,
        tokens if found else None,
        amount_text(row, "billedcost"),
        first(row, "billingcurrency").upper(),
        about=tuple(
            first(row, name)
            for name in (
                *("skuid", "skupriceid", "regionid", "resourceid", "chargeclass", "tags"),
                *("chargeperiodstart", "chargedescription", "pricingcategory", "x_model"),
            )
        ),
    )


FOCUS = Format(
    "focus",
    "FOCUS 1.x export",
    "UTC",
    (
        ("billedcost",),
        ("billingcurrency",),
        ("chargeperiodstart",),
        ("chargecategory",),
        ("servicename", "servicecategory"),
    ),
    _focus,
)
