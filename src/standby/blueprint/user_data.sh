#!/bin/bash
# Turns a plain Amazon Linux 2023 into one instance of the application. CloudFormation fills in
# the names in braces; the shell's own variables are written without.
#
# Every command must succeed. The trap reports the outcome to CloudFormation, so an instance that
# cannot mount its files or cannot serve fails the deployment, which is rolled back.
set -euo pipefail

report() {
  local outcome=$?
  /opt/aws/bin/cfn-signal --exit-code "$outcome" --region "${AWS::Region}" \
    --stack "${AWS::StackName}" --resource "${Group}" ||
    echo "no deployment waits for this instance: it was launched by scaling"
  exit "$outcome"
}
trap report EXIT

retry() { # ATTEMPTS COMMAND...: for what depends on the network, 10 seconds apart
  local attempts=$1
  shift
  until "$@"; do
    attempts=$((attempts - 1))
    if ((attempts == 0)); then return 1; fi
    sleep 10
  done
}

# The repositories of Amazon Linux 2023 are locked to the release of the image, so this installs
# the same versions on every instance; nothing is upgraded.
retry 6 dnf install --assumeyes --quiet amazon-efs-utils python3.12 python3.12-pip

# Nobody but root may enter the directory underneath the mount: when the file system is gone, the
# application cannot read the path, and /health says so.
install --directory --mode 0000 /mnt/shared
# In the standby region the access point's directory arrives by replication, minutes after the
# file system; hence the patience.
retry 60 mount -t efs -o tls,iam,accesspoint=${AccessPoint} ${FileSystem}:/ /mnt/shared
echo "${FileSystem}:/ /mnt/shared efs _netdev,tls,iam,accesspoint=${AccessPoint} 0 0" >>/etc/fstab

useradd --system --no-create-home --shell /sbin/nologin workload
install --directory /opt/workload
retry 6 aws s3 cp --only-show-errors "s3://${AssetBucket}/${AssetKey}" /opt/workload.zip
python3.12 -m zipfile -e /opt/workload.zip /opt/workload
cd /opt/workload
# A directory of wheels in the asset makes the boot independent of any package index.
if [[ -d wheels ]]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels; fi
python3.12 -m venv venv
retry 6 venv/bin/pip install --quiet --no-cache-dir --only-binary :all: \
  --requirement requirements.txt

retry 6 curl --fail --silent --show-error --output /etc/rds-ca.pem \
  "https://truststore.pki.rds.amazonaws.com/${AWS::Region}/${AWS::Region}-bundle.pem"

cat >/etc/workload.env <<'ENVIRONMENT'
AWS_REGION=${AWS::Region}
DATABASE_CA=/etc/rds-ca.pem
DATABASE_HOST=${DatabaseHost}
DATABASE_NAME=${DatabaseName}
DATABASE_SECRET=${DatabaseSecret}
MOUNT_PATH=/mnt/shared
PORT=${Port}
ENVIRONMENT

cat >/etc/systemd/system/workload.service <<'UNIT'
[Unit]
Description=The application
After=network-online.target
Wants=network-online.target
RequiresMountsFor=/mnt/shared

[Service]
User=workload
WorkingDirectory=/opt/workload
EnvironmentFile=/etc/workload.env
ExecStart=/opt/workload/venv/bin/python main.py
Restart=always
RestartSec=2
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=true
PrivateTmp=true
ProtectHome=true
ProtectSystem=strict
ReadWritePaths=/mnt/shared

[Install]
WantedBy=multi-user.target
UNIT

systemctl daemon-reload
systemctl enable --now workload.service
retry 12 curl --fail --silent --show-error --output /dev/null "http://127.0.0.1:${Port}${HealthPath}"
