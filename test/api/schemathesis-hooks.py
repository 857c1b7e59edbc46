"""What a JSON schema cannot say about valid data, for the run of schemathesis."""

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

# Rules between values, between a value and the clock, or between a value and what is stored; and texts whose bytes,
# lines or meaning decide. Each is a sentence of the API.
RULES = (
    "Must be the nextCursor of an earlier page of this list.",
    "Must be before the end of the range.",
    "A range has at most 366 days.",
    "Must be in the future.",
    "Must be in the years 1970 to 9999",
    "Encode it as UTF-8.",
    "Must be over zero.",
    "Must be one of: ",
    "Give a decimal amount such as ",
    "Give an e-mail address such as ",
    "Give an IANA time zone such as ",
    "Leave out ",
    "Say something.",
    "Give the file a name.",
    "Use a relative path ",
    "Separate folders with a slash",
    "Use at most ",
    "It ",
    "A custom skill needs ",
    "A built-in skill has its files already. Leave them out.",
    "There is no built-in skill ",
    "The files of ",
    "A file has at most ",
    "A skill has at most ",
    "An agent has at most ",
    "An instance has at most ",
    "Must have at most ",
    "Must be text without ",
    "Use at least 1 character",
    "Use 2 to 32 lower-case letters",
    "Use single hyphens only.",
    "Use a capital letter",
    "Use lower-case letters",
    "This name is reserved",
    "This is the placeholder ",
    "It would never run",
    "Give five fields ",
    "Give the message ",
    "The front matter ",
    "Must not be nested more than ",
    "Must not have more than ",
)


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
