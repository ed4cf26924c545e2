"""Security: parameters of Systems Manager.

Source of properties, ``Ref`` and attributes: CloudFormation template reference, "AWS Systems
Manager".
"""

from standby.twin.handlers import Created, Handler, Resource, gone_is_fine, handler


@handler("AWS::SSM::Parameter")
class Parameter(Handler):
    """A named value that stacks and programs read."""

    def create(self, r: Resource) -> Created:
        """Create the parameter; a name that is taken is refused."""
        name = r.properties.get("Name") or f"CFN-{r.generated_name()}"
        settings = self._settings(r)
        tags = r.all_tags()
        r.client("ssm").put_parameter(Name=name, **settings, **({"Tags": tags} if tags else {}))
        return self._made(name, r)

    def update(self, r: Resource) -> Created:
        """Give the parameter a new version, and new tags."""
        ssm, name = r.client("ssm"), r.physical_id
        ssm.put_parameter(Name=name, Overwrite=True, **self._settings(r))
        resource = {"ResourceType": "Parameter", "ResourceId": name}
        if dropped := r.dropped_tags():
            ssm.remove_tags_from_resource(**resource, TagKeys=dropped)
        if tags := r.all_tags():
            ssm.add_tags_to_resource(**resource, Tags=tags)
        return self._made(name, r)

    def delete(self, r: Resource) -> None:
        """Delete the parameter with all its versions."""
        with gone_is_fine():
            r.client("ssm").delete_parameter(Name=r.physical_id)

    @staticmethod
    def _settings(r: Resource) -> dict[str, str]:
        return r.properties.pick(
            "Type",
            "Value",
            "Description",
            "AllowedPattern",
            "DataType",
            "Tier",
            "Policies",
        )

    @staticmethod
    def _made(name: str, r: Resource) -> Created:
        return Created(name, r.properties.pick("Type", "Value"))
