"""FOCUS 1.2 by its specification, column by column: focus-validator leaves some rules out."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

TEXT, MONEY, TIME, JSON = "text", "decimal", "time", "json"
NEVER, ANY = "never null", "may be null"
USAGE = "not null for usage that is no correction"
COLUMNS = {
    "AvailabilityZone": (TEXT, ANY),
    "BilledCost": (MONEY, NEVER),
    "BillingAccountId": (TEXT, NEVER),
    "BillingAccountName": (TEXT, NEVER),
    "BillingAccountType": (TEXT, NEVER),
    "BillingCurrency": (TEXT, NEVER),
    "BillingPeriodEnd": (TIME, NEVER),
    "BillingPeriodStart": (TIME, NEVER),
    "CapacityReservationId": (TEXT, ANY),
    "CapacityReservationStatus": (TEXT, ANY),
    "ChargeCategory": (TEXT, NEVER),
    "ChargeClass": (TEXT, ANY),
    "ChargeDescription": (TEXT, NEVER),
    "ChargeFrequency": (TEXT, NEVER),
    "ChargePeriodEnd": (TIME, NEVER),
    "ChargePeriodStart": (TIME, NEVER),
    "CommitmentDiscountCategory": (TEXT, ANY),
    "CommitmentDiscountId": (TEXT, ANY),
    "CommitmentDiscountName": (TEXT, ANY),
    "CommitmentDiscountQuantity": (MONEY, ANY),
    "CommitmentDiscountStatus": (TEXT, ANY),
    "CommitmentDiscountType": (TEXT, ANY),
    "CommitmentDiscountUnit": (TEXT, ANY),
    "ConsumedQuantity": (MONEY, USAGE),
    "ConsumedUnit": (TEXT, USAGE),
    "ContractedCost": (MONEY, NEVER),
    "ContractedUnitPrice": (MONEY, USAGE),
    "EffectiveCost": (MONEY, NEVER),
    "InvoiceId": (TEXT, ANY),
    "InvoiceIssuerName": (TEXT, NEVER),
    "ListCost": (MONEY, NEVER),
    "ListUnitPrice": (MONEY, USAGE),
    "PricingCategory": (TEXT, USAGE),
    "PricingCurrency": (TEXT, NEVER),
    "PricingCurrencyContractedUnitPrice": (MONEY, USAGE),
    "PricingCurrencyEffectiveCost": (MONEY, NEVER),
    "PricingCurrencyListUnitPrice": (MONEY, USAGE),
    "PricingQuantity": (MONEY, USAGE),
    "PricingUnit": (TEXT, USAGE),
    "ProviderName": (TEXT, NEVER),
    "PublisherName": (TEXT, NEVER),
    "RegionId": (TEXT, ANY),
    "RegionName": (TEXT, ANY),
    "ResourceId": (TEXT, NEVER),
    "ResourceName": (TEXT, NEVER),
    "ResourceType": (TEXT, NEVER),
    "ServiceCategory": (TEXT, NEVER),
    "ServiceName": (TEXT, NEVER),
    "ServiceSubcategory": (TEXT, NEVER),
    "SkuId": (TEXT, USAGE),
    "SkuMeter": (TEXT, USAGE),
    "SkuPriceDetails": (JSON, USAGE),
    "SkuPriceId": (TEXT, USAGE),
    "SubAccountId": (TEXT, NEVER),
    "SubAccountName": (TEXT, NEVER),
    "SubAccountType": (TEXT, NEVER),
    "Tags": (JSON, NEVER),
}
"""Every column of the Cost and Usage dataset of 1.2: its type, and when it may be null."""
NULL_TOGETHER = (
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
    ("RegionId", "RegionName"),
    ("ResourceId", "ResourceType"),
    ("SkuId", "SkuMeter"),
    ("SkuPriceId", "SkuPriceDetails"),
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
)
PRODUCTS = (
    ("ListUnitPrice", "ListCost"),
    ("ContractedUnitPrice", "ContractedCost"),
    ("PricingCurrencyContractedUnitPrice", "ContractedCost"),
)
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
CUSTOM = re.compile(r"x_[A-Z][A-Za-z]*")

Rows = list[dict[str, str | None]]


@pytest.fixture(scope="module")
def rows(exported) -> Rows:
    with exported.csv.path.open(encoding="utf-8", newline="") as file:
        return [
            {name: value or None for name, value in row.items()} for row in csv.DictReader(file)
        ]


def usage(rows: Rows) -> Iterator[dict[str, str | None]]:
    """Usage that is no correction: what most rules are about."""
    found = [row for row in rows if row["ChargeCategory"] == "Usage" and row["ChargeClass"] is None]
    assert found
    return iter(found)


def test_the_columns_are_those_of_the_standard_and_then_our_own(rows):
    names = list(rows[0])
    standard = [name for name in names if not name.startswith("x_")]
    assert standard == sorted(COLUMNS)
    assert names[: len(standard)] == standard
    own = names[len(standard) :]
    assert own == sorted(own)
    assert all(CUSTOM.fullmatch(name) for name in own)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_has_its_type_and_is_null_only_where_it_may_be(rows, column):
    kind, null = COLUMNS[column]
    for row in rows if null == NEVER else usage(rows):
        assert null == ANY or row[column] is not None
    for value in {row[column] for row in rows} - {None}:
        assert value.strip() == value
        if kind == MONEY:
            assert NUMBER.fullmatch(value)
        elif kind == TIME:
            assert UTC_TIME.fullmatch(value)
        elif kind == JSON:
            pairs = json.loads(value, object_pairs_hook=list)
            assert pairs
            assert len({key for key, _ in pairs}) == len(pairs)
            assert all(isinstance(part, str) and part for _, part in pairs)


@pytest.mark.parametrize(("one", "other"), NULL_TOGETHER)
def test_some_columns_are_null_together(rows, one, other):
    assert [row[one] is None for row in rows] == [row[other] is None for row in rows]


@pytest.mark.parametrize(("price", "cost"), PRODUCTS)
def test_a_unit_price_times_its_quantity_is_the_cost(rows, price, cost):
    """But for the rounding of single events, half of 1e-12 USD each."""
    for row in usage(rows):
        product = Decimal(row[price] or "") * Decimal(row["PricingQuantity"] or "")
        assert abs(product - Decimal(row[cost] or "")) <= Decimal("1e-9")
        assert Decimal(row[price] or "") >= 0


def test_charges_are_of_allowed_kinds(rows):
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Adjustment"}
    assert {row["ChargeClass"] for row in rows} == {None, "Correction"}
    assert {row["ChargeFrequency"] for row in rows} <= {"One-Time", "Recurring", "Usage-Based"}
    assert {row["PricingCategory"] for row in rows} == {"Standard", None}
    services = {(row["ServiceCategory"], row["ServiceSubcategory"]) for row in rows}
    assert services == {("AI and Machine Learning", "Generative AI")}
    assert {row["BillingCurrency"] for row in rows} == {"USD"}


def test_corrections_are_what_changed_after_the_month(rows):
    corrected = {
        row["x_CorrectionReason"]: row for row in rows if row["ChargeClass"] == "Correction"
    }
    assert set(corrected) == {"repricing", "true_up", "late event"}
    assert corrected["true_up"]["ChargeCategory"] == "Adjustment"
    assert corrected["true_up"]["ConsumedQuantity"] is None
    assert all(row["x_CorrectionReason"] is None for row in usage(rows))


def test_periods_are_days_of_the_month(rows):
    for row in rows:
        assert row["BillingPeriodStart"] == "2026-09-01T00:00:00Z"
        assert row["BillingPeriodEnd"] == "2026-10-01T00:00:00Z"
        start, end = (
            date.fromisoformat((row[name] or "")[:10])
            for name in ("ChargePeriodStart", "ChargePeriodEnd")
        )
        assert (end - start).days == 1
        assert (start.year, start.month) == (2026, 9)


def test_a_sku_price_has_one_sku_and_one_list_price(rows):
    skus, prices, meters = defaultdict(set), defaultdict(set), defaultdict(set)
    for row in usage(rows):
        if row["x_TokenClass"] == "tokens_not_split":
            continue
        skus[row["SkuPriceId"]].add(row["SkuId"])
        prices[row["SkuPriceId"]].add(row["ListUnitPrice"])
        meters[row["SkuId"]].add(row["SkuMeter"])
    assert {len(found) for found in (*skus.values(), *prices.values(), *meters.values())} == {1}


def test_tokens_are_counted_in_tokens_and_classes_are_skus(rows):
    assert {row["ConsumedUnit"] for row in usage(rows)} == {"Tokens"}
    assert {row["PricingUnit"] for row in usage(rows)} == {"1000000 Tokens"}
    classes = {row["x_TokenClass"] for row in usage(rows)}
    assert {"input", "cache_read", "output"} <= classes
    assert "tokens_not_split" not in classes
    for row in usage(rows):
        assert Decimal(row["ConsumedQuantity"] or "") % 1 == 0


def test_the_billing_account_is_the_one_that_was_named(rows):
    accounts = {
        row["BillingAccountId"]: row["BillingAccountName"]
        for row in rows
        if row["ProviderName"] == "openai"
    }
    assert accounts == {"org-4711": 'Acme\'s "own"'}


def test_both_files_come_to_the_ledger_to_the_last_digit(rows, exported):
    assert sum(Decimal(row["BilledCost"] or "") for row in rows) == exported.cost
    table = pq.read_table(exported.parquet.path)
    assert sum(table["BilledCost"].to_pylist()) == exported.cost
    assert exported.csv.rows == exported.parquet.rows == table.num_rows == len(rows)
    for name, (kind, _) in COLUMNS.items():
        stored = table.schema.field(name).type
        assert pa.types.is_decimal(stored) == (kind == MONEY)
        assert pa.types.is_timestamp(stored) == (kind == TIME)
