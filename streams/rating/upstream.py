"""The newest price list, fetched as genai-prices itself does, and not applied to anything."""

from __future__ import annotations

import httpx2
from genai_prices import UpdatePrices
from genai_prices.update_prices import DEFAULT_UPDATE_URL

from schemas.errors import SpendstreamError
from streams.rating.bounds import check_bounds
from streams.rating.list_prices import ListPrices
from streams.rating.pricebook import PriceBook

UPSTREAM = "genai-prices upstream"


class NoUpstream(SpendstreamError):
    """The newest list could not be had, or cannot be read."""


def upstream_book(book: PriceBook, url: str = DEFAULT_UPDATE_URL) -> PriceBook:
    """The same file on the newest list. Raises NoUpstream, and UserError as `PriceBook.load`."""
    try:
        snapshot = UpdatePrices(url=url).fetch()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise NoUpstream(
            f"the newest list prices could not be fetched from {url}: {why}"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        why = str(error).splitlines()[0]
        raise NoUpstream(
            f"{url} holds no list that this genai-prices reads ({why}); upgrade genai-prices"
        ) from error
    if snapshot is None:
        raise NoUpstream(f"{url} holds no list prices")
    listed = ListPrices(snapshot.providers, UPSTREAM)
    check_bounds(book.overrides, listed)
    return PriceBook(listed, book.overrides)
