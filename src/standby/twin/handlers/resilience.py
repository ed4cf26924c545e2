"""Resilience: experiments of FIS, and applications and policies of Resilience Hub.

Both services spell in lower camel case what CloudFormation spells with a capital.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "AWS Fault
Injection Service" and "AWS Resilience Hub".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from botocore import xform_name
from botocore.model import Shape

from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler


def _spelled(shape: Shape, value: Any) -> Any:
    """Spell a value's members as the API does; the keys of maps are the user's own."""
    members: Mapping[str, Shape] = getattr(shape, "members", {})
    if isinstance(value, Mapping):
        if shape.type_name == "map":
            return {key: _spelled(shape.value, item) for key, item in value.items()}  # type: ignore[attr-defined]
        lowered = {f"{key[0].lower()}{key[1:]}": item for key, item in value.items()}
        return {
            key: _spelled(members[key], item) if key in members else item
            for key, item in lowered.items()
        }
    if isinstance(value, list):
        return [_spelled(shape.member, item) for item in value]  # type: ignore[attr-defined]
    return int(value) if shape.type_name == "integer" else value


def _ask(client: Any, operation: str, properties: Mapping[str, Any], **given: Any) -> Any:
    """Call an operation with properties, spelled as it wants them, and arguments of our own."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    return getattr(client, xform_name(operation))(**_spelled(shape, properties), **given)


def _tags(r: Resource) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in r.all_tags()}


def _retag(r: Resource, service: str, arn: str) -> None:
    client = r.client(service)
    if dropped := r.dropped_tags():
        client.untag_resource(resourceArn=arn, tagKeys=dropped)
    client.tag_resource(resourceArn=arn, tags=_tags(r))


@handler("AWS::FIS::ExperimentTemplate")
class ExperimentTemplate(Handler):
    """An experiment that can be started: what it does to what, and what stops it."""

    _KEYS = (
        "Actions",
        "Description",
        "ExperimentOptions",
        "ExperimentReportConfiguration",
        "LogConfiguration",
        "RoleArn",
        "StopConditions",
        "Targets",
    )

    def create(self, r: Resource) -> Created:
        """Create the template."""
        wanted = r.properties.pick(*self._KEYS)
        answer = _ask(r.client("fis"), "CreateExperimentTemplate", wanted, tags=_tags(r))
        id_ = answer["experimentTemplate"]["id"]
        return Created(id_, {"Id": id_})

    def update(self, r: Resource) -> Created:
        """Replace what the template says; whose accounts it reaches is its identity."""
        wanted = r.properties.pick(*self._KEYS)
        options = {k: v for k, v in wanted.get("ExperimentOptions", {}).items() if k[0] != "A"}
        wanted |= {"ExperimentOptions": options} if options else {}
        fis = r.client("fis")
        answer = _ask(fis, "UpdateExperimentTemplate", wanted, id=r.physical_id)
        _retag(r, "fis", answer["experimentTemplate"]["arn"])
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the template; experiments that it started go on."""
        with gone_is_fine():
            r.client("fis").delete_experiment_template(id=r.physical_id)


@handler("AWS::ResilienceHub::ResiliencyPolicy")
class ResiliencyPolicy(Handler):
    """Objectives for the recovery from each kind of disruption."""

    _KEYS = ("DataLocationConstraint", "Policy", "PolicyDescription", "PolicyName", "Tier")

    def create(self, r: Resource) -> Created:
        """Create the policy; its ARN is its ``Ref``."""
        hub, wanted = r.client("resiliencehub"), r.properties.pick(*self._KEYS)
        answer = _ask(hub, "CreateResiliencyPolicy", wanted, tags=_tags(r))
        arn = answer["policy"]["policyArn"]
        return Created(arn, {"PolicyArn": arn})

    def update(self, r: Resource) -> Created:
        """Change the objectives."""
        hub, wanted = r.client("resiliencehub"), r.properties.pick(*self._KEYS)
        _ask(hub, "UpdateResiliencyPolicy", wanted, policyArn=r.physical_id)
        _retag(r, "resiliencehub", r.physical_id)
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Delete the policy; an application that has it forbids that."""
        with gone_is_fine():
            r.client("resiliencehub").delete_resiliency_policy(policyArn=r.physical_id)


@handler("AWS::ResilienceHub::App")
class App(Configured):
    """An application that Resilience Hub assesses: its stacks, its resources, its policy."""

    _NAMES: ClassVar[Mapping[str, str]] = {
        "AppAssessmentSchedule": "AssessmentSchedule",
        "Description": "Description",
        "EventSubscriptions": "EventSubscriptions",
        "PermissionModel": "PermissionModel",
        "ResiliencyPolicyArn": "PolicyArn",
    }
    """The properties that have other names in the API, and those that have the same."""

    def make(self, r: Resource) -> Created:
        """Create the application without resources."""
        hub, name = r.client("resiliencehub"), r.properties["Name"]
        answer = _ask(hub, "CreateApp", self._wanted(r), name=name, tags=_tags(r))
        arn = answer["app"]["appArn"]
        return Created(arn, {"AppArn": arn, "DriftStatus": answer["app"]["driftStatus"]})

    def configure(self, r: Resource) -> None:
        """Bring settings, mappings and template to what is wanted, and publish them."""
        hub, app = r.client("resiliencehub"), {"appArn": r.physical_id}
        if r.previous:
            wanted = self._wanted(r)
            cleared = {"clearResiliencyPolicyArn": True} if "PolicyArn" not in wanted else {}
            _ask(hub, "UpdateApp", wanted, **app, **cleared)
            _retag(r, "resiliencehub", r.physical_id)
        before, after = r.previous.get("ResourceMappings", []), r.properties["ResourceMappings"]
        if gone := [each["LogicalStackName"] for each in before if each not in after]:
            hub.remove_draft_app_version_resource_mappings(**app, logicalStackNames=gone)
        if fresh := [each for each in after if each not in before]:
            mappings = {"ResourceMappings": fresh}
            _ask(hub, "AddDraftAppVersionResourceMappings", mappings, **app)
        hub.put_draft_app_version_template(**app, appTemplateBody=r.properties["AppTemplateBody"])
        hub.publish_app_version(**app)

    def delete(self, r: Resource) -> None:
        """Delete the application with its assessments."""
        with gone_is_fine():
            r.client("resiliencehub").delete_app(appArn=r.physical_id, forceDelete=True)

    def _wanted(self, r: Resource) -> dict[str, Any]:
        picked = r.properties.pick(*self._NAMES)
        return {self._NAMES[key]: value for key, value in picked.items()}
