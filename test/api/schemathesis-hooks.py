"""What a JSON schema cannot say about valid data, for the run of schemathesis."""

from urllib.parse import urlencode

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

# Rules between values, between a value and the clock, or between a value and what is stored; and texts whose bytes,
# lines or meaning decide. Each is a sentence of the API.
RULES = (
    "Must be the nextCursor of an earlier page of this list.",
    "Must be before the end of the range (`to`).",
    "The range can have at most 366 days.",
    "Must be in the future.",
    "Must be in the years 1970 to 9999",
    "Encode it as UTF-8.",
    "Must be greater than zero.",
    "Must be one of: ",
    "Give a decimal amount such as ",
    "Give an e-mail address such as ",
    "Give an IANA time zone such as ",
    "Leave out ",
    "Give a message that is not blank.",
    "Give the file a name.",
    "Use a relative path ",
    "Separate folders with a slash",
    "Use at most ",
    "The URL ",
    "A custom skill needs ",
    "A built-in skill cannot have custom files. Leave the files out.",
    "There is no built-in skill ",
    "The files of ",
    "A file can have at most ",
    "A skill can have at most ",
    "An agent can have at most ",
    "An instance can have at most ",
    "There can be at most 16 pairs.",
    "Must have at most ",
    "Must be text without ",
    "Use at least 1 character",
    "Use 2 to 32 lower-case letters",
    "Use single hyphens only.",
    "Send text in UTF-8 without NUL",
    "Cannot be used with ",
    "Must be base64 with its padding.",
    "The attachments of a message can have at most ",
    "Use a capital letter",
    "Use lower-case letters",
    "This name is reserved",
    "Must be the secret itself, ",
    "The schedule is invalid or never runs.",
    "Give five fields ",
    "The front matter ",
    "Must not be nested more than ",
    "Must not have more than ",
)


# The path and the headers may have 16 KiB together: more is 431 before there is an operation, which has a test elsewhere.
LONGEST_QUERY = 8_000


@schemathesis.hook
def filter_query(context, query):
    """Leaves out queries that are too long for any operation."""
    return query is None or len(urlencode(query, doseq=True, errors="replace")) <= LONGEST_QUERY


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """Valid data is accepted, unless the answer names one of these rules for each field that it refuses."""
    if response.status_code == 400:
        details = response.json()["error"].get("details", [])
        if details and all(detail["message"].startswith(RULES) for detail in details):
            return
    positive_data_acceptance(ctx, response, case)


@schemathesis.check
def invalid_data_is_refused(ctx, response, case):
    """Invalid data is refused, unless an earlier call with the same Idempotency-Key answers: that comes first.

    A body over the limit of bytes is refused with 413 before anything else in it is looked at, which the original does not know.
    """
    if response.headers.get("idempotent-replayed") is None and response.status_code != 413:
        negative_data_rejection(ctx, response, case)
