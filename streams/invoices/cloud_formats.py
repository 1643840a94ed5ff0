"""Exports of clouds: AWS's cost and usage report, Azure's cost details, Google's billing export.

They hold every service of an account; lines of other services than models are passed over. AWS and
Azure bill UTC days, Google days of the US Pacific zone.
"""

from __future__ import annotations

import re

from streams.imports.source import Passed
from streams.invoices.formats import Format, Row, amount_text, days, first, number
from streams.invoices.line import Charge, Said
from streams.invoices.words import token_class, tokens_of

PACIFIC = "America/Los_Angeles"
_AWS_SERVICE = re.compile(r"bedrock", re.IGNORECASE)
_AZURE_SERVICE = re.compile(
    r"cognitive services|openai|foundry|azure ai|machine learning", re.IGNORECASE
)
_GOOGLE_SERVICE = re.compile(r"vertex ai|gemini|generative language", re.IGNORECASE)
_AWS_CHARGES: dict[str, Charge] = {
    "usage": "usage",
    "discountedusage": "usage",
    "savingsplancoveredusage": "usage",
    "tax": "tax",
    "credit": "credit",
    "refund": "credit",
    "edpdiscount": "credit",
    "privateratediscount": "credit",
    "bundleddiscount": "credit",
    "savingsplannegation": "credit",
}
_AZURE_CHARGES: dict[str, Charge] = {
    "usage": "usage",
    "tax": "tax",
    "refund": "credit",
    "credit": "credit",
}
_GOOGLE_CHARGES: dict[str, Charge] = {
    "regular": "usage",
    "usage": "usage",
    "": "usage",
    "tax": "tax",
    "adjustment": "credit",
    "rounding_error": "fee",
    "rounding error": "fee",
}


def of_service(pattern: re.Pattern[str], *names: str) -> None:
    """Raise Passed where none of these names is a service of models."""
    if not any(pattern.search(name) for name in names):
        named = next(filter(None, names), "no service")
        raise Passed("another_service", f"is charged for {named}")


def _usage(charge: Charge, sku: str) -> tuple[Charge, str | None]:
    """The charge and its kind of tokens: usage that is not in tokens is a fee."""
    found = token_class(sku) if charge == "usage" else None
    return ("fee" if charge == "usage" and found is None else charge), found


def _aws(row: Row) -> Said:
    product = first(row, "product/productname", "product_product_name", "product_servicename")
    code = first(row, "lineitem/productcode", "line_item_product_code")
    kind = first(row, "lineitem/usagetype", "line_item_usage_type")
    text = first(row, "lineitem/lineitemdescription", "line_item_line_item_description")
    of_service(_AWS_SERVICE, product, code, text)
    said = first(row, "lineitem/lineitemtype", "line_item_line_item_type").lower()
    charge, found = _usage(_AWS_CHARGES.get(said, "fee"), kind)
    # Models of the marketplace have a product each, those of Amazon are named by the usage type.
    edition = "bedrock edition" in product.lower()
    model = first(row, "product/model", "product_model") or (product if edition else kind)
    unit = first(row, "pricing/unit", "pricing_unit", "lineitem/usageunit")
    quantity = number(row, "lineitem/usageamount", "line_item_usage_amount")
    day, last = days(
        row,
        "UTC",
        ("lineitem/usagestartdate", "line_item_usage_start_date"),
        ("lineitem/usageenddate", "line_item_usage_end_date"),
    )
    return Said(
        day,
        last,
        first(row, "lineitem/usageaccountid", "line_item_usage_account_id"),
        model,
        f"{product} {kind}".strip() if edition else kind or text,
        charge,
        found,
        tokens_of(quantity, unit) if found else None,
        amount_text(row, "lineitem/unblendedcost", "line_item_unblended_cost"),
        first(row, "lineitem/currencycode", "line_item_currency_code").upper() or "USD",
        # Not its LineItemId, which is another one in each delivery of the report.
        about=(
            first(row, "lineitem/usagestartdate", "line_item_usage_start_date"),
            first(row, "lineitem/resourceid", "line_item_resource_id"),
            first(row, "lineitem/operation", "line_item_operation"),
            said,
        ),
    )


def _azure(row: Row) -> Said:
    category = first(row, "metercategory")
    meter = first(row, "metername", "meter")
    of_service(_AZURE_SERVICE, category, first(row, "metersubcategory"), first(row, "productname"))
    said = first(row, "chargetype").lower() or "usage"
    charge, found = _usage(_AZURE_CHARGES.get(said, "fee"), meter)
    quantity = number(row, "quantity", "usagequantity")
    day, last = days(row, "UTC", ("date", "usagedatetime", "usagedate"), ())
    return Said(
        day,
        last,
        first(row, "subscriptionid", "subscriptionguid", "subscriptionname"),
        meter,
        meter or first(row, "productname"),
        charge,
        found,
        tokens_of(quantity, first(row, "unitofmeasure")) if found else None,
        amount_text(row, "costinbillingcurrency", "cost", "pretaxcost"),
        first(row, "billingcurrency", "billingcurrencycode", "currency").upper(),
        about=(
            first(row, "resourceid", "instanceid"),
            first(row, "meterid"),
            first(row, "resourcelocation", "meterregion"),
            first(row, "unitofmeasure"),
            first(row, "pricingmodel"),
            said,
        ),
    )


def _google(row: Row) -> Said:
    service = first(row, "service.description", "service_description", "service description")
    sku = first(row, "sku.description", "sku_description", "sku description")
    said = first(row, "cost_type", "cost type").lower()
    charge = _GOOGLE_CHARGES.get(said, "fee")
    if charge == "usage":
        of_service(_GOOGLE_SERVICE, service)
    if first(row, "credit type", "credits.type"):
        charge = "credit"
    charge, found = _usage(charge, sku)
    quantity = number(row, "usage.amount", "usage_amount", "usage amount")
    unit = first(row, "usage.unit", "usage_unit", "usage unit")
    day, last = days(
        row,
        PACIFIC,
        ("usage_start_time", "usage start date"),
        ("usage_end_time", "usage end date"),
    )
    return Said(
        day,
        last,
        first(row, "project.id", "project_id", "project id"),
        sku,
        sku or said,
        charge,
        found,
        tokens_of(quantity, unit) if found else None,
        amount_text(row, "cost", "unrounded cost", "unrounded subtotal"),
        first(row, "currency").upper(),
        about=(
            first(row, "sku.id", "sku_id", "sku id"),
            service,
            first(row, "location.region", "location_region"),
            first(row, "usage_start_time", "usage start date"),
            first(row, "credit type", "credits.type"),
            said,
        ),
    )


AWS = Format(
    "aws-cur",
    "AWS cost and usage report",
    "UTC",
    (
        ("lineitem/usagestartdate", "line_item_usage_start_date"),
        ("lineitem/productcode", "line_item_product_code"),
        ("lineitem/usagetype", "line_item_usage_type"),
        ("lineitem/lineitemtype", "line_item_line_item_type"),
        ("lineitem/unblendedcost", "line_item_unblended_cost"),
    ),
    _aws,
)
AZURE = Format(
    "azure",
    "Azure cost details",
    "UTC",
    (
        ("date", "usagedatetime", "usagedate"),
        ("metercategory",),
        ("metername", "meter"),
        ("costinbillingcurrency", "cost", "pretaxcost"),
        ("billingcurrency", "billingcurrencycode", "currency"),
    ),
    _azure,
)
GOOGLE = Format(
    "google",
    "Google Cloud billing export",
    PACIFIC,
    (
        ("usage_start_time", "usage start date"),
        ("service.description", "service_description", "service description"),
        ("sku.description", "sku_description", "sku description"),
        ("cost", "unrounded cost", "unrounded subtotal"),
        ("currency",),
    ),
    _google,
)
