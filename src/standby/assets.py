"""Assets of a cloud assembly, published into the buckets that the CDK's bootstrap made."""

import io
import zipfile
from collections.abc import Mapping

from botocore.exceptions import ClientError

from standby.assembly.read import FileAsset
from standby.cloud import Cloud
from standby.errors import EnvironmentProblem

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def publish(asset: FileAsset, cloud: Cloud, region: str, places: Mapping[str, str]) -> None:
    """Upload an asset unless it is there: its key is a hash of its content.

    Args:
        asset: What to upload.
        cloud: Where to.
        region: The region of its stack, unless the asset names another.
        places: Values of the placeholders in the assembly.

    Raises:
        EnvironmentProblem: The region is not bootstrapped.
    """
    bucket, key = fill(asset.bucket, places), fill(asset.key, places)
    region = fill(asset.region or region, places)
    s3 = cloud.client("s3", region)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        body = _zip(asset) if asset.zipped else asset.source.read_bytes()
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        except s3.exceptions.NoSuchBucket:
            raise EnvironmentProblem(
                f"region {region} is not bootstrapped (no bucket {bucket}); run "
                f"`npx aws-cdk@2 bootstrap aws://{places['${AWS::AccountId}']}/{region}`"
            ) from None


def fill(text: str, places: Mapping[str, str]) -> str:
    """Put values in the place of an assembly's placeholders, ``${AWS::AccountId}`` and the like."""
    for placeholder, value in places.items():
        text = text.replace(placeholder, value)
    return text


def _zip(asset: FileAsset) -> bytes:
    """Pack a folder into an archive whose bytes depend on its content alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(asset.source.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(asset.source).as_posix(), ZIP_EPOCH)
                entry.external_attr = path.stat().st_mode << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
