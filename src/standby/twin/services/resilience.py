"""Resilience: what moto's Resilience Hub and FIS lack.

moto keeps applications, versions and policies; mappings and templates of applications, and the
change and deletion of all of them, are here. Assessments are not run.

Source: Resilience Hub API reference; FIS API reference, CreateExperimentTemplate.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.resiliencehub.models import App, Policy, ResilienceHubBackend, resiliencehub_backends

from standby.twin.operations import Call, ServiceError, operation

HUB = "resiliencehub"
DRAFT, RELEASE = "draft", "release"
_KEYS_OF_MAPPINGS = {
    "AppRegistryApp": "appRegistryAppName",
    "CfnStack": "logicalStackName",
    "EKS": "eksSourceName",
    "ResourceGroup": "resourceGroupName",
    "Terraform": "terraformSourceName",
    "Resource": "resourceName",
}
"""Which member names a mapping, by its type (ResourceMapping)."""
_NO_TEMPLATE = json.dumps(
    {
        "resources": [],
        "appComponents": [
            {
                "name": "appcommon",
                "type": "AWS::ResilienceHub::AppCommonAppComponent",
                "resourceNames": [],
            }
        ],
        "excludedResources": {"logicalResourceIds": []},
        "version": 2,
    }
)


@dataclass
class Content:
    """What one version of an application consists of."""

    mappings: list[dict[str, Any]] = field(default_factory=list)
    template: str = _NO_TEMPLATE


class Contents(dict[tuple[str, str], Content]):
    """The contents of a region's applications, by ARN and version."""

    def draft(self, app: App) -> Content:
        """Give what is being worked on."""
        return self.setdefault((app.arn, DRAFT), Content())


def _backend(call: Call) -> ResilienceHubBackend:
    return resiliencehub_backends[call.account][call.region]


def _app(call: Call) -> App:
    """Give moto's application; moto says so where there is none."""
    return _backend(call).describe_app(call.params["appArn"])


def _refuse(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def _refuse_unknown_policy(call: Call) -> None:
    if arn := call.params.get("policyArn"):
        _backend(call).describe_resiliency_policy(arn)


@operation(HUB, "CreateApp")
def create_app(call: Call) -> Mapping[str, Any]:
    """Create an application; its name is its own, and its policy exists."""
    name = call.params["name"]
    if any(app.name == name for app in _backend(call).apps.values()):
        raise ServiceError("ConflictException", f"App with name {name} already exists")
    _refuse_unknown_policy(call)
    return call.moto()


@operation(HUB, "UpdateApp")
def update_app(call: Call) -> Mapping[str, Any]:
    """Change what is given of an application."""
    app, params = _app(call), call.params
    _refuse_unknown_policy(call)
    app.assessment_schedule = params.get("assessmentSchedule", app.assessment_schedule)
    app.description = params.get("description", app.description)
    app.event_subscriptions = params.get("eventSubscriptions", app.event_subscriptions)
    app.permission_model = params.get("permissionModel", app.permission_model)
    cleared = "" if params.get("clearResiliencyPolicyArn") else app.policy_arn
    app.policy_arn = params.get("policyArn", cleared)
    return {"app": app.to_json()}


@operation(HUB, "DeleteApp")
def delete_app(call: Call) -> Mapping[str, Any]:
    """Delete an application with its versions."""
    app, contents = _app(call), call.store(Contents)
    del _backend(call).apps[app.arn]
    for version in (DRAFT, RELEASE):
        contents.pop((app.arn, version), None)
    return {"appArn": app.arn}


@operation(HUB, "AddDraftAppVersionResourceMappings")
def add_draft_app_version_resource_mappings(call: Call) -> Mapping[str, Any]:
    """Map resources into the draft; one of the same name is replaced."""
    app = _app(call)
    draft = call.store(Contents).draft(app)
    fresh = [_located(call, mapping) for mapping in call.params["resourceMappings"]]
    names = {_name(mapping) for mapping in fresh}
    draft.mappings = [each for each in draft.mappings if _name(each) not in names] + fresh
    return {"appArn": app.arn, "appVersion": DRAFT, "resourceMappings": fresh}


def _name(mapping: Mapping[str, Any]) -> tuple[str, str]:
    kind = mapping["mappingType"]
    key = _KEYS_OF_MAPPINGS.get(kind)
    if key is None or not mapping.get(key):
        raise _refuse(f"A mapping of type {kind} needs {key or 'another type'}")
    return kind, str(mapping[key])


def _located(call: Call, mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Complete where the mapped thing is, from its ARN if it has one."""
    _name(mapping)
    physical = dict(mapping["physicalResourceId"])
    region, account = call.region, call.account
    if physical["type"] == "Arn":
        parts = physical["identifier"].split(":")
        if len(parts) < 6 or parts[0] != "arn":
            raise _refuse(f"{physical['identifier']!r} is not an ARN")
        region, account = parts[3] or region, parts[4] or account
    return {
        **mapping,
        "physicalResourceId": {"awsRegion": region, "awsAccountId": account, **physical},
    }


@operation(HUB, "RemoveDraftAppVersionResourceMappings")
def remove_draft_app_version_resource_mappings(call: Call) -> Mapping[str, Any]:
    """Take the named mappings out of the draft."""
    app = _app(call)
    draft = call.store(Contents).draft(app)
    gone = {
        (kind, name)
        for kind, key in _KEYS_OF_MAPPINGS.items()
        for name in call.params.get(f"{key}s", ())
    }
    draft.mappings = [each for each in draft.mappings if _name(each) not in gone]
    return {"appArn": app.arn, "appVersion": DRAFT}


@operation(HUB, "ListAppVersionResourceMappings")
def list_app_version_resource_mappings(call: Call) -> Mapping[str, Any]:
    """List what is mapped into a version, in pages."""
    mappings = _content(call).mappings
    start, size = int(call.params.get("nextToken") or 0), int(call.params.get("maxResults") or 100)
    end = start + size
    more = {"nextToken": str(end)} if end < len(mappings) else {}
    return {"resourceMappings": mappings[start:end], **more}


@operation(HUB, "PutDraftAppVersionTemplate")
def put_draft_app_version_template(call: Call) -> Mapping[str, Any]:
    """Set which resources the draft assesses; each belongs to a component that exists."""
    app, body = _app(call), call.params["appTemplateBody"]
    try:
        template = json.loads(body)
        named = [resource["name"] for resource in template["resources"]]
        placed = _placed(template["appComponents"])
    except (ValueError, LookupError, TypeError) as error:
        raise _refuse(f"appTemplateBody is not an application's template: {error}") from None
    if unknown := sorted(placed - set(named)):
        raise _refuse(f"appTemplateBody: no resource is named {unknown[0]!r}")
    if homeless := sorted(set(named) - placed):
        raise _refuse(f"appTemplateBody: resource {homeless[0]!r} is in no component")
    call.store(Contents).draft(app).template = body
    return {"appArn": app.arn, "appVersion": DRAFT}


def _placed(components: Iterable[Mapping[str, Any]]) -> set[str]:
    return {name for component in components for name in component["resourceNames"]}


@operation(HUB, "DescribeAppVersionTemplate")
def describe_app_version_template(call: Call) -> Mapping[str, Any]:
    """Give which resources a version assesses."""
    template = _content(call).template
    version = call.params["appVersion"]
    return {"appArn": call.params["appArn"], "appVersion": version, "appTemplateBody": template}


def _content(call: Call) -> Content:
    app, version = _app(call), call.params["appVersion"]
    contents = call.store(Contents)
    contents.draft(app)
    if (app.arn, version) not in contents:
        raise ServiceError("ResourceNotFoundException", f"{app.arn} has no version {version!r}")
    return contents[app.arn, version]


@operation(HUB, "PublishAppVersion")
def publish_app_version(call: Call) -> Mapping[str, Any]:
    """Make the draft, as it is now, the release."""
    app, contents = _app(call), call.store(Contents)
    answer = call.moto()
    contents[app.arn, RELEASE] = copy.deepcopy(contents.draft(app))
    return answer


@operation(HUB, "UpdateResiliencyPolicy")
def update_resiliency_policy(call: Call) -> Mapping[str, Any]:
    """Change what is given of a policy."""
    policy, params = _policy(call), call.params
    constraint = params.get("dataLocationConstraint", policy.data_location_constraint)
    policy.data_location_constraint = constraint
    policy.policy = params.get("policy", policy.policy)
    policy.policy_description = params.get("policyDescription", policy.policy_description)
    policy.policy_name = params.get("policyName", policy.policy_name)
    policy.tier = params.get("tier", policy.tier)
    return {"policy": policy.to_json()}


@operation(HUB, "DeleteResiliencyPolicy")
def delete_resiliency_policy(call: Call) -> Mapping[str, Any]:
    """Delete a policy that no application has."""
    policy = _policy(call)
    if users := [app.name for app in _backend(call).apps.values() if app.policy_arn == policy.arn]:
        raise ServiceError("ConflictException", f"The policy is in use by {', '.join(users)}")
    del _backend(call).policies[policy.arn]
    return {"policyArn": policy.arn}


def _policy(call: Call) -> Policy:
    return _backend(call).describe_resiliency_policy(call.params["policyArn"])


@operation("fis", "CreateExperimentTemplate")
def create_experiment_template(call: Call) -> Mapping[str, Any]:
    """Create an experiment's template; it says what stops it, and acts on targets it has."""
    _check_experiment(call.params)
    return call.moto()


@operation("fis", "UpdateExperimentTemplate")
def update_experiment_template(call: Call) -> Mapping[str, Any]:
    """Change what is given of a template."""
    client = call.twin.client("fis", call.region)
    former = client.get_experiment_template(id=call.params["id"])["experimentTemplate"]
    _check_experiment(former | dict(call.params))
    return call.moto()


def _check_experiment(template: Mapping[str, Any]) -> None:
    """Refuse what FIS refuses.

    Raises:
        ServiceError: No stop condition, an alarm that is not named, or a target that is not there.
    """
    conditions = template.get("stopConditions") or []
    if not conditions:
        raise _refuse("At least one stop condition must be given; its source may be 'none'.")
    for condition in conditions:
        alarm = condition["source"] == "aws:cloudwatch:alarm"
        if not alarm and condition["source"] != "none":
            raise _refuse(f"Unknown source of a stop condition: {condition['source']}")
        if alarm and ":alarm:" not in (condition.get("value") or ""):
            raise _refuse("A stop condition of source aws:cloudwatch:alarm needs an alarm's ARN.")
    targets = template.get("targets") or {}
    for name, action in (template.get("actions") or {}).items():
        for target in (action.get("targets") or {}).values():
            if target not in targets:
                raise _refuse(f"Action {name} acts on target {target}, which is not defined.")
