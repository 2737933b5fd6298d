"""What all models of IoT Hub's REST interface can do, and the decorator that reads their declarations.

A declaration is a class with annotated attributes; `model` makes of it the table of attributes, JSON names
and types that everything else here works from. Behaviour that programs see is that of the official models:
the order of `__dict__`, what `str` shows, `==`, which keys are dropped. Used by `ferrohub.service.models`.
"""

from __future__ import annotations

from ferrohub.service.codecs import codec_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import inspect
    from typing import Any, Callable, ClassVar, TypeVar

    from typing_extensions import Self, dataclass_transform

    from ferrohub._native import ModelReader
    from ferrohub.service.codecs import Codec, KeyTransformer

    Declared = TypeVar("Declared", bound="type[Model]")
else:

    def dataclass_transform(**_options: object) -> object:
        """Tells type checkers that `model` makes keyword-only constructors; nothing at run time (PEP 681)."""
        return lambda decorator: decorator


MODELS: dict[str, type[Model]] = {}
_UNUSUAL_JSON_NAMES = {"twin_etag": "twinETag"}
_TYPE_NAMES = {"Long": "long", "datetime": "iso-8601", "Any": "object"}


def attribute_transformer(attribute: str, _description: dict[str, str], value: Any) -> tuple[str, Any]:
    """The key transformer of `as_dict`: Python's names."""
    return attribute, value


class _Signature:
    """The constructor's signature, for help and editors; made when asked for, as inspect is slow to load."""

    def __get__(self, instance: object, owner: type[Model]) -> inspect.Signature:
        if owner.__init__ is not Model.__init__:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        names = [
            Parameter(row[0], Parameter.KEYWORD_ONLY, default=None, annotation=row[2].name) for row in owner._fields
        ]
        return Signature([*names, Parameter("kwargs", Parameter.VAR_KEYWORD)], return_annotation=None)


class Model:
    """Base of the models: keyword-only attributes, all optional, and JSON in both directions.

    `additional_properties` holds what the hub sent under names this model does not have. Times without a
    zone are naive, others aware; models compare by their attributes and can't be hashed.
    """

    additional_properties: dict[str, Any]

    # Programs read these three from the official models; nothing is validated, and no model has subtypes.
    _attribute_map: ClassVar[dict[str, dict[str, str]]] = {}
    _validation: ClassVar[dict[str, dict[str, Any]]] = {}
    _subtype_map: ClassVar[dict[str, dict[str, Any]]] = {}
    # (attribute, JSON name, codec), in the order of the declaration.
    _fields: tuple[tuple[str, str, Codec], ...] = ()
    _blank: ClassVar[dict[str, None]] = {}
    # What a model's `__dict__` begins as: copied whole, which is quicker than filling it.
    _template: ClassVar[dict[str, Any]] = {"additional_properties": None}
    # By JSON name: the attribute, the type whose values are taken as they are, and the codec that reads all others.
    _readers: ClassVar[dict[str, tuple[str, type | None, Codec]]] = {}
    _made_reader: ClassVar[ModelReader]
    _official_path: str = ""
    _sends_additional_properties = False

    if not TYPE_CHECKING:
        __signature__ = _Signature()

    def __init__(self, **kwargs: Any) -> None:
        values = self.__dict__ = self._template.copy()
        values["additional_properties"] = {}
        for name, value in kwargs.items():
            if name in self._blank:
                values[name] = value
            else:
                self._warn_unknown(name)

    def _warn_unknown(self, name: str) -> None:
        import logging

        text = "%s is not a known attribute of class %s and will be ignored"
        logging.getLogger("msrest.serialization").warning(text, name, self.__class__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self.__class__) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return str(self.__dict__)

    def __repr__(self) -> str:
        cls = type(self)
        path = self._official_path if cls.__module__ == "ferrohub.service.models" else cls.__module__
        return f"<{path}.{cls.__qualname__} object at {id(self):#x}>"

    # --- to JSON ---

    def serialize(self, keep_readonly: bool = False, **kwargs: Any) -> dict[str, Any]:
        """The model as the hub takes it: JSON names, attributes that are None left out, times as text.

        No attribute is read-only, so `keep_readonly` changes nothing. Raises azure-core's SerializationError
        (a ValueError) if a value does not fit its type.
        """
        return self._encode(None)

    def as_dict(
        self,
        keep_readonly: bool = True,
        key_transformer: KeyTransformer = attribute_transformer,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The model as a dict with Python's names; otherwise like `serialize`.

        `key_transformer(attribute, description, value)` gives another name and value for each attribute;
        the description holds the JSON name as `key`, and the `type`.
        """
        return self._encode(key_transformer)

    def _encode(self, transform: KeyTransformer | None) -> dict[str, Any]:
        values = self.__dict__
        encoded: dict[str, Any] = {}
        for attribute, name, codec in self._fields:
            key, value = name, values.get(attribute)
            if transform is not None:
                # msrest's own transformers give the name as a list of one.
                key, value = transform(attribute, self._attribute_map[attribute].copy(), value)
                key = key[-1] if isinstance(key, list) else key
            if value is not None:
                try:
                    encoded[key] = codec.encode(value, transform)
                except (ValueError, TypeError, OverflowError) as error:
                    raise self._not_serializable(attribute, codec, value, error) from error
        if self._sends_additional_properties:
            encoded.update(self.additional_properties)
        return encoded

    def _not_serializable(self, attribute: str, codec: Codec, value: Any, error: Exception) -> Exception:
        from ferrohub.service.errors import is_data_error, serialization_error

        if is_data_error(error):
            return error
        reason = f"{type(error).__name__}: {error}"
        if codec.name[0] in "[{":
            return serialization_error(
                f"Attribute {attribute} in object {type(self).__name__} cannot be serialized., {reason}"
            )
        return serialization_error(f"Unable to serialize value: {value!r} as type: '{codec.name}'., {reason}")

    def validate(self) -> list[Exception]:
        """Raise msrest's ValidationError for a value that is no dict where one is needed; else give `[]`."""
        for attribute, _, codec in self._fields:
            value = self.__dict__.get(attribute)
            if isinstance(value, Model):
                value.validate()
            elif value is not None and codec.name.startswith("{") and not hasattr(value, "items"):
                from ferrohub.service.errors import validation_error

                wanted = "object" if codec.name[1] in "[{" else codec.name[1:-1]
                raise validation_error("type", attribute, f"dict[str, {wanted}]")
        return []

    # --- from JSON ---

    @classmethod
    def deserialize(cls, data: Any, content_type: str | None = None) -> Self:
        """Read a model from a dict with JSON names, or from JSON text if `content_type` says so.

        Names are case-sensitive; unknown ones land in `additional_properties`. Raises azure-core's
        DeserializationError (a ValueError) if the data does not fit.
        """
        return cls._decode(_parsed(data, content_type), False)

    @classmethod
    def from_dict(
        cls,
        data: Any,
        key_extractors: Callable[..., Any] | None = None,
        content_type: str | None = None,
    ) -> Self:
        """Read a model from a dict with Python's names or the JSON names, the latter in any case.

        `key_extractors`, one or a list, replace that rule: each is called with (attribute, description,
        data), the first value that is not None counts.
        """
        data = _parsed(data, content_type)
        if key_extractors is not None and isinstance(data, dict):
            extractors = list(key_extractors) if isinstance(key_extractors, (list, tuple)) else [key_extractors]
            extracted: dict[str, Any] = {}
            for attribute, name, _ in cls._fields:
                description = cls._attribute_map[attribute].copy()
                found = (extract(attribute, description, data) for extract in extractors)
                extracted[name] = next((value for value in found if value is not None), None)
            data = extracted
        return cls._decode(data, True)

    @classmethod
    def _decode(cls, data: Any, lenient: bool) -> Self:
        if data is None or isinstance(data, Model):
            return data  # type: ignore[return-value]  # as the official models do, whatever class it is
        if not isinstance(data, dict):
            from ferrohub.service.errors import deserialization_error

            found = type(data).__name__
            text = f"Unable to deserialize to object: {cls.__name__}, expected an object, not {found}"
            raise deserialization_error(text)
        decoded = cls.__new__(cls)
        values = decoded.__dict__ = cls._template.copy()
        values["additional_properties"] = unknown = {}
        source, readers = data, cls._readers
        if lenient:
            unknown.update({name: value for name, value in data.items() if name not in readers})
            source = cls._with_json_names(data)
        attribute = codec = value = None
        try:
            for name, value in source.items():
                reader = readers.get(name)
                if reader is None:
                    unknown[name] = value
                elif value is not None:
                    attribute, plain, codec = reader
                    values[attribute] = value if type(value) is plain else codec.decode(value, lenient)
        except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
            raise cls._not_deserializable(attribute, codec, value, error) from error
        return decoded

    @classmethod
    def _reader(cls) -> ModelReader:
        """What reads this model from the hub's JSON as `deserialize` does, in less time; made when first needed."""
        if "_made_reader" not in cls.__dict__:
            from ferrohub._native import ModelReader  # a program that only names the classes does without

            fields = [
                (name, attribute, codec.plain, MODELS[codec.name]._reader() if codec.name in MODELS else codec.decode)
                for attribute, name, codec in cls._fields
            ]
            cls._made_reader = ModelReader(cls, cls._template, fields)
        return cls._made_reader

    @classmethod
    def _with_json_names(cls, data: dict[str, Any]) -> dict[str, Any]:
        """The same values under their JSON names: Python's name counts, else the JSON name in any case."""
        by_lower_case = {key.lower(): value for key, value in data.items() if isinstance(key, str)}
        named = {name: by_lower_case.get(name.lower()) for _, name, _ in cls._fields}
        named.update({name: data[attribute] for attribute, name, _ in cls._fields if attribute in data})
        return named

    @classmethod
    def _not_deserializable(cls, attribute: Any, codec: Any, value: Any, error: Exception) -> Exception:
        from ferrohub.service.errors import deserialization_error, is_data_error

        if is_data_error(error):
            return error
        reason = f"{type(error).__name__}: {error}"
        text = f"Unable to deserialize response data. Data: {value}, {codec.name}, {reason}"
        return deserialization_error(f"{text} (attribute {attribute} of {cls.__name__})")

    @classmethod
    def is_xml_model(cls) -> bool:
        """False: IoT Hub speaks JSON."""
        return False

    @classmethod
    def enable_additional_properties_sending(cls) -> None:
        """Let `serialize` and `as_dict` of this class add `additional_properties` at the top level."""
        cls._sends_additional_properties = True
        cls._attribute_map = {**cls._attribute_map, "additional_properties": {"key": "", "type": "{object}"}}


def _parsed(data: Any, content_type: str | None) -> Any:
    """JSON text read into Python's types; anything else as it is."""
    if content_type is None or not isinstance(data, (str, bytes, bytearray)):
        return data
    import json

    try:
        return json.loads(data)
    except ValueError as error:
        from ferrohub.service.errors import deserialization_error

        raise deserialization_error(f"JSON is invalid: {error}") from error


# --- declarations ------------------------------------------------------------------------------------------


@dataclass_transform(kw_only_default=True, eq_default=False)
def model(cls: Declared) -> Declared:
    """Read a model's declaration: its annotations, in order, are its attributes."""
    rows = [(attribute, _json_name(attribute), _type_name(text)) for attribute, text in cls.__annotations__.items()]
    cls._attribute_map = {attribute: {"key": name, "type": kind} for attribute, name, kind in rows}
    cls._fields = tuple((attribute, name, codec_for(kind, MODELS)) for attribute, name, kind in rows)
    cls._blank = dict.fromkeys(cls._attribute_map)
    cls._template = {"additional_properties": None, **cls._blank}
    cls._readers = {name: (attribute, codec.plain, codec) for attribute, name, codec in cls._fields}
    cls._official_path = f"azure.iot.hub.protocol.models.{_snake_case(cls.__name__)}_py3"
    MODELS[cls.__name__] = cls
    return cls


def _json_name(attribute: str) -> str:
    """`device_id` is `deviceId` in JSON."""
    first, *others = attribute.split("_")
    return _UNUSUAL_JSON_NAMES.get(attribute) or first + "".join(word.capitalize() for word in others)


def _type_name(annotation: str) -> str:
    """`Maybe[dict[str, Long]]` is the type `{long}`."""
    if annotation.startswith("Maybe["):
        return _type_name(annotation[len("Maybe[") : -1])
    if annotation.startswith("dict[str, "):
        return "{" + _type_name(annotation[len("dict[str, ") : -1]) + "}"
    if annotation.startswith("list["):
        return "[" + _type_name(annotation[len("list[") : -1]) + "]"
    return _TYPE_NAMES.get(annotation, annotation)


def _snake_case(name: str) -> str:
    """`TwinProperties` stands in the module `twin_properties`."""
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
