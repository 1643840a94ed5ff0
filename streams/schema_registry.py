"""Schemas by id from a schema registry with Confluent's API, each asked for once."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections import OrderedDict
from http.client import HTTPException

from fastavro.schema import SchemaParseException

from schemas.avro_files import AvroSchema, avro_schema
from schemas.wire import SchemaLookup, no_registry
from streams.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
REMEMBERED = 1000
"""Made-up ids on the topic must not fill the memory."""


class RegistryUnavailable(ConnectionError):
    """The registry did not answer: the events wait, nothing is known of them."""


class SchemaRegistry:
    """Looks schemas up at ``{url}/schemas/ids/{id}``. Blocking; called in a worker thread."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._known: OrderedDict[int, AvroSchema | None] = OrderedDict()

    def __call__(self, schema_id: int) -> AvroSchema | None:
        """The schema, or None where the registry does not know the id or it is no usable Avro.

        Raises RegistryUnavailable where it cannot be asked.
        """
        if schema_id not in self._known:
            self._known[schema_id] = self._fetch(schema_id)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[schema_id]

    def _fetch(self, schema_id: int) -> AvroSchema | None:
        url = f"{self._url}/schemas/ids/{schema_id}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http(s), by the settings
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise RegistryUnavailable(f"schema registry {self._url}: {error}") from error
        except (OSError, ValueError, HTTPException) as error:
            raise RegistryUnavailable(f"schema registry {self._url}: {error}") from error
        try:
            return avro_schema(f"registry schema {schema_id}", document["schema"])
        except (KeyError, ValueError, SchemaParseException) as error:
            log.warning("schema %d of the registry is not usable: %s", schema_id, error)
            return None


def schema_lookup(settings: Settings) -> SchemaLookup:
    """The registry of the settings, or none."""
    return (
        no_registry
        if settings.schema_registry is None
        else SchemaRegistry(settings.schema_registry)
    )
