"""The front door: one WSGI application that speaks the AWS API for every region.

A signed request names its service and region in the credential scope. If an operation of
ours is registered for it, we answer; everything else goes to moto unchanged.
"""

import functools
import io
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import NotFound
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from standby.twin.operations import Call, Operation, ServiceError, registered

if TYPE_CHECKING:
    from standby.twin.twin import Twin

log = logging.getLogger(__name__)
Environ = dict[str, Any]

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/")


class Gateway:
    """Routes AWS requests to the twin's operations or to moto."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer one request (the WSGI protocol)."""
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope:
            for service in _services_by_signing_name().get(scope["service"], ()):
                answer = self._answer(environ, service, scope["region"], scope["key"])
                if answer is not None:
                    return answer(environ, start_response)
        return self._forward(environ, start_response)

    def _forward(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = _buffer(environ)
        try:
            answer: Iterable[bytes] = self._moto(environ, start_response)
        except Exception as error:  # moto raises at what it lacks; a client needs an answer
            log.debug("moto failed", exc_info=True)
            environ["wsgi.input"] = io.BytesIO(body)
            return _unanswered(environ, error)(environ, start_response)
        return answer

    def _answer(
        self, environ: Environ, service: str, region: str, access_key: str
    ) -> Response | None:
        """Answer by an operation of ours, or give None where there is none."""
        body = _buffer(environ)
        request = Request(dict(environ, **{"wsgi.input": io.BytesIO(body)}))
        try:
            model, uri_params = get_service_router(service).match(request)
        except (NotFound, NotImplementedError):
            return None
        function = registered().get((service, model.name))
        if function is None:
            return None
        protocol = determine_request_protocol(get_service_model(service), request.content_type)
        serializer = get_serializer_class(service, protocol)(operation_model=model)
        try:
            params = PROTOCOL_PARSERS[protocol](model).parse(
                {
                    "method": request.method,
                    "values": request.values,
                    "headers": request.headers,
                    "body": request.data,
                    "url_path": request.path,
                    "url_params": uri_params,
                }
            )
        except Exception as error:  # the parsers take a sound body for granted
            refusal = ServiceError("SerializationException", f"cannot read the request: {error}")
            answer = serializer.serialize(refusal)
        else:
            call = Call(
                twin=self._twin,
                region=region,
                account=get_account_id_from(access_key),
                params=params,
                moto=lambda: self._ask_moto(environ, body, model, protocol),
            )
            answer = serializer.serialize(_run(function, call))
        return Response(answer["body"], answer["status_code"], answer["headers"])

    def _ask_moto(self, environ: Environ, body: bytes, model: Any, protocol: str) -> dict[str, Any]:
        chunks, status, headers = run_wsgi_app(
            self._forward, dict(environ, **{"wsgi.input": io.BytesIO(body)}), buffered=True
        )
        code = int(status.split()[0])
        raw = {
            "body": b"".join(chunks),
            "headers": {name.lower(): value for name, value in headers},
            "status_code": code,
        }
        parsed: dict[str, Any] = create_parser(protocol).parse(raw, model.output_shape)
        if code >= 300:
            raise ServiceError(parsed["Error"]["Code"], parsed["Error"]["Message"])
        parsed.pop("ResponseMetadata", None)
        return parsed


def _run(function: Operation, call: Call) -> Mapping[str, Any] | Exception:
    try:
        return function(call) or {}
    except ServiceException as error:  # ours, or moto's where an operation asks its state
        refusal: Exception = error
        return refusal
    except JsonRESTError as error:  # moto's, in its older form
        return ServiceError(error.relative_error_type, error.message)
    except ClientError as error:  # another service of the twin refused: its words are the answer
        problem = error.response["Error"]
        return ServiceError(problem["Code"], problem["Message"])
    except Exception as error:  # the boundary of the API: a defect of ours is a 500, not a hang
        log.exception("the twin failed in %s", function.__name__)
        return ServiceError("InternalFailure", f"the twin failed: {error!r}")


def _unanswered(environ: Environ, error: Exception) -> Response:
    """Tell a client, in its own protocol, that nobody here answers what it asks."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    request = Request(environ)
    for service in _services_by_signing_name().get(scope["service"], ()) if scope else ():
        try:
            model, _ = get_service_router(service).match(request)
        except (NotFound, NotImplementedError):
            continue
        protocol = determine_request_protocol(get_service_model(service), request.content_type)
        serializer = get_serializer_class(service, protocol)(operation_model=model)
        refusal = ServiceError(
            "NotImplemented", f"the twin cannot answer {service}:{model.name}: {error}"
        )
        answer = serializer.serialize(refusal)
        return Response(answer["body"], 501, answer["headers"])
    text = f"<Error><Code>NotImplemented</Code><Message>{escape(str(error))}</Message></Error>"
    return Response(text, 501, content_type="text/xml")


def _buffer(environ: Environ) -> bytes:
    """Read the request's body once and put it back for whoever reads it next."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


@functools.cache
def _services_by_signing_name() -> Mapping[str, tuple[str, ...]]:
    """Name the services that have operations of ours, by the name they sign requests with."""
    names: dict[str, list[str]] = {}
    for service in dict.fromkeys(service for service, _ in registered()):
        names.setdefault(get_service_model(service).signing_name, []).append(service)
    return {signing: tuple(services) for signing, services in names.items()}


WsgiApp = Callable[[Environ, Any], Iterable[bytes]]
