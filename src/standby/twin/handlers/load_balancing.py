"""Load balancing: load balancers, target groups, listeners, their rules and certificates.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "Elastic Load
Balancing V2".
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from standby.assembly.intrinsics import TemplateError
from standby.twin.handlers import Configured, Created, Handler, Resource, gone_is_fine, handler
from standby.twin.shapes import call

NAME_LIMIT = 32


class ElbResource(Configured):
    """A resource of Elastic Load Balancing; ``Ref`` is its ARN.

    Attributes:
        attribute_property: The property that holds its attributes.
        attribute_call: The operation that sets them, and the parameter that names the resource.
    """

    attribute_property: ClassVar[str] = ""
    attribute_call: ClassVar[tuple[str, str]] = ("", "")

    def configure(self, r: Resource) -> None:
        """Set the tags, where they change, and the attributes."""
        elb = r.client("elbv2")
        if dropped := r.dropped_tags():
            elb.remove_tags(ResourceArns=[r.physical_id], TagKeys=dropped)
        if r.previous and (tags := r.all_tags()):
            elb.add_tags(ResourceArns=[r.physical_id], Tags=tags)
        name = self.attribute_property
        wanted = r.properties.get(name) if name else None
        if wanted and wanted != r.previous.get(name):
            operation, key = self.attribute_call
            call(elb, operation, **{key: r.physical_id}, Attributes=wanted)

    @staticmethod
    def tags(r: Resource) -> dict[str, Any]:
        """Give the tags that the resource is made with."""
        tags = r.all_tags()
        return {"Tags": tags} if tags else {}

    @staticmethod
    def name(r: Resource) -> str:
        """Give the wanted name, or make one."""
        generated = r.generated_name(NAME_LIMIT).replace("--", "-")
        return str(r.properties.get("Name", generated))


@handler("AWS::ElasticLoadBalancingV2::LoadBalancer")
class LoadBalancer(ElbResource):
    """A load balancer, in two or more subnets."""

    attribute_property = "LoadBalancerAttributes"
    attribute_call = ("ModifyLoadBalancerAttributes", "LoadBalancerArn")

    def make(self, r: Resource) -> Created:
        """Create it."""
        kind = r.properties.get("Type", "application")
        if kind != "application":
            raise TemplateError(f"{r.logical_id}: the twin has no load balancers of type {kind!r}")
        elb = r.client("elbv2")
        balancer = call(
            elb,
            "CreateLoadBalancer",
            Name=self.name(r),
            Type=kind,
            Scheme=r.properties.get("Scheme", "internet-facing"),
            **self.tags(r),
            **r.properties.pick("SecurityGroups", "Subnets", "SubnetMappings", "IpAddressType"),
        )["LoadBalancers"][0]
        arn = balancer["LoadBalancerArn"]
        return Created(
            arn,
            {
                "LoadBalancerArn": arn,
                "LoadBalancerName": balancer["LoadBalancerName"],
                "LoadBalancerFullName": arn.partition(":loadbalancer/")[2],
                "DNSName": balancer["DNSName"],
                "CanonicalHostedZoneID": balancer["CanonicalHostedZoneId"],
                "SecurityGroups": balancer.get("SecurityGroups", []),
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags and attributes and, after creation, where it is and who may reach it."""
        super().configure(r)
        if not r.previous:
            return
        elb, arn = r.client("elbv2"), {"LoadBalancerArn": r.physical_id}
        for names, operation in (
            (("SecurityGroups",), "SetSecurityGroups"),
            (("Subnets", "SubnetMappings"), "SetSubnets"),
            (("IpAddressType",), "SetIpAddressType"),
        ):
            wanted = r.properties.pick(*names)
            if wanted and any(wanted.get(name) != r.previous.get(name) for name in names):
                call(elb, operation, **arn, **wanted)

    def update(self, r: Resource) -> Created:
        """Configure it anew; its security groups are an attribute."""
        self.configure(r)
        groups = r.properties.get("SecurityGroups", r.attributes["SecurityGroups"])
        return Created(r.physical_id, {**r.attributes, "SecurityGroups": groups})

    def delete(self, r: Resource) -> None:
        """Delete it with its listeners; deletion protection forbids that."""
        with gone_is_fine():
            r.client("elbv2").delete_load_balancer(LoadBalancerArn=r.physical_id)


@handler("AWS::ElasticLoadBalancingV2::TargetGroup")
class TargetGroup(ElbResource):
    """Where requests go, and how it is known who can answer them."""

    attribute_property = "TargetGroupAttributes"
    attribute_call = ("ModifyTargetGroupAttributes", "TargetGroupArn")
    _CHECKS: Mapping[str, Any] = {
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckPath": "/",
        "HealthCheckPort": "traffic-port",
        "HealthCheckProtocol": "HTTP",
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "Matcher": {"HttpCode": "200"},
    }
    """Settings of health checks over HTTP and HTTPS, with their defaults."""

    def make(self, r: Resource) -> Created:
        """Create the group."""
        if (protocol := r.properties.get("Protocol")) not in {"HTTP", "HTTPS"}:
            raise TemplateError(
                f"{r.logical_id}: the twin's target groups speak HTTP or HTTPS, not {protocol}"
            )
        kind = r.properties.get("TargetType", "instance")
        group = call(
            r.client("elbv2"),
            "CreateTargetGroup",
            Name=self.name(r),
            TargetType=kind,
            **self.tags(r),
            **r.properties.pick("Protocol", "ProtocolVersion", "Port", "VpcId", "IpAddressType"),
        )["TargetGroups"][0]
        arn = group["TargetGroupArn"]
        return Created(
            arn,
            {
                "TargetGroupArn": arn,
                "TargetGroupName": group["TargetGroupName"],
                "TargetGroupFullName": arn.rpartition(":")[2],
                "LoadBalancerArns": [],
            },
        )

    def configure(self, r: Resource) -> None:
        """Set tags, attributes, health checks and targets."""
        super().configure(r)
        elb, arn = r.client("elbv2"), {"TargetGroupArn": r.physical_id}
        checks = {
            key: r.properties.get(key, default)
            for key, default in self._CHECKS.items()
            if key in r.properties or key in r.previous
        }
        if {key: r.previous[key] for key in checks if key in r.previous} != checks:
            call(elb, "ModifyTargetGroup", **arn, **checks)
        before, after = r.previous.get("Targets", []), r.properties.get("Targets", [])
        if gone := [target for target in before if target not in after]:
            call(elb, "DeregisterTargets", **arn, Targets=gone)
        if new := [target for target in after if target not in before]:
            call(elb, "RegisterTargets", **arn, Targets=new)

    def delete(self, r: Resource) -> None:
        """Delete the group; a listener that sends to it forbids that."""
        with gone_is_fine():
            r.client("elbv2").delete_target_group(TargetGroupArn=r.physical_id)


@handler("AWS::ElasticLoadBalancingV2::Listener")
class Listener(ElbResource):
    """A port of a load balancer, and what happens to requests there by default."""

    attribute_property = "ListenerAttributes"
    attribute_call = ("ModifyListenerAttributes", "ListenerArn")

    def make(self, r: Resource) -> Created:
        """Create the listener."""
        listener = call(
            r.client("elbv2"),
            "CreateListener",
            **self.tags(r),
            **r.properties.pick("LoadBalancerArn"),
            **self._settings(r),
        )["Listeners"][0]
        return Created(listener["ListenerArn"], {"ListenerArn": listener["ListenerArn"]})

    def configure(self, r: Resource) -> None:
        """Set tags and attributes and, after creation, port, protocol and actions."""
        super().configure(r)
        if r.previous:
            elb = r.client("elbv2")
            call(elb, "ModifyListener", ListenerArn=r.physical_id, **self._settings(r))

    def delete(self, r: Resource) -> None:
        """Delete the listener with its rules."""
        with gone_is_fine():
            r.client("elbv2").delete_listener(ListenerArn=r.physical_id)

    @staticmethod
    def _settings(r: Resource) -> dict[str, Any]:
        return r.properties.pick("Port", "Protocol", "SslPolicy", "Certificates", "DefaultActions")


@handler("AWS::ElasticLoadBalancingV2::ListenerRule")
class ListenerRule(ElbResource):
    """What happens to requests of one kind."""

    def make(self, r: Resource) -> Created:
        """Create the rule."""
        rule = call(
            r.client("elbv2"),
            "CreateRule",
            **self.tags(r),
            **r.properties.pick("ListenerArn", "Priority", "Conditions", "Actions"),
        )["Rules"][0]
        attributes = {"RuleArn": rule["RuleArn"], "IsDefault": rule.get("IsDefault", False)}
        return Created(rule["RuleArn"], attributes)

    def configure(self, r: Resource) -> None:
        """Set tags and, after creation, conditions, actions and place among the rules."""
        super().configure(r)
        if not r.previous:
            return
        elb, rule = r.client("elbv2"), {"RuleArn": r.physical_id}
        call(elb, "ModifyRule", **rule, **r.properties.pick("Conditions", "Actions"))
        if (priority := r.properties["Priority"]) != r.previous["Priority"]:
            call(elb, "SetRulePriorities", RulePriorities=[{**rule, "Priority": priority}])

    def delete(self, r: Resource) -> None:
        """Delete the rule."""
        with gone_is_fine():
            r.client("elbv2").delete_rule(RuleArn=r.physical_id)


@handler("AWS::ElasticLoadBalancingV2::ListenerCertificate")
class ListenerCertificate(Handler):
    """More certificates of a listener, for clients that name another host."""

    def create(self, r: Resource) -> Created:
        """Add the certificates."""
        r.client("elbv2").add_listener_certificates(
            **r.properties.pick("ListenerArn", "Certificates")
        )
        name = r.generated_name()
        return Created(name, {"Id": name})

    def update(self, r: Resource) -> Created:
        """Add the certificates that are new, and remove those that are given no more."""
        elb, listener = r.client("elbv2"), r.properties.pick("ListenerArn")
        before, after = r.previous["Certificates"], r.properties["Certificates"]
        if new := [each for each in after if each not in before]:
            elb.add_listener_certificates(**listener, Certificates=new)
        if gone := [each for each in before if each not in after]:
            elb.remove_listener_certificates(**listener, Certificates=gone)
        return Created(r.physical_id, r.attributes)

    def delete(self, r: Resource) -> None:
        """Remove the certificates."""
        with gone_is_fine():
            r.client("elbv2").remove_listener_certificates(
                **r.properties.pick("ListenerArn", "Certificates")
            )
