"""Structured output: a pydantic model that an answer must fit."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput
from ..json import Json, JsonObject, check


class Output:
    """
    What an answer is to be parsed into.

    Attributes:
        schema: Its JSON schema, for the model.
    """

    def __init__(self, form: Any) -> None:
        """
        Take a pydantic model, or any type that pydantic knows.

        Raises:
            InvalidInput: It isn't one, or has no JSON schema.
        """
        from pydantic import TypeAdapter

        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(form)
            self.schema: JsonObject = self._adapter.json_schema()
        except Exception as error:  # pydantic looks into anything, some of it in vain
            raise InvalidInput(f"output: {form!r} has no schema: {error}") from error

    @classmethod
    def plain(cls, schema: JsonObject) -> Output:
        """Return what's left of an output whose type isn't at hand: any JSON."""
        output = cls(object)
        output.schema = schema
        return output

    def parse(self, text: str) -> Any:
        """Return *text*, which fits, as an instance."""
        return self._adapter.validate_json(bare(text))

    def fit(self, text: str) -> tuple[str | None, Json]:
        """Return why *text* doesn't fit, or None and its value as JSON."""
        from pydantic import ValidationError

        try:
            value = self._adapter.validate_json(bare(text))
            plain: Json = self._adapter.dump_python(value, mode="json")
            check(plain, where="answer")
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(at) for at in problem['loc']) or 'answer'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)
            ]
            return "; ".join(problems), None
        except (InvalidInput, ValueError) as error:  # such as a lone surrogate, or NaN
            return f"answer: {error}", None
        return None, plain


def bare(text: str) -> str:
    """Return *text* without the code fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3].strip()
    return text
