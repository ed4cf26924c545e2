/** Storage: the files that instances share, replicated to the standby region. */

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as efs from 'aws-cdk-lib/aws-efs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { notify } from './monitoring';
import { REMOVAL_POLICY } from './retention';
import type { Settings } from './settings';

const REPLICATION_RPO = Duration.minutes(15);
const APPLICATION_USER = '1000';

export interface StorageStackProps extends StackProps {
  readonly settings: Settings;
  readonly vpc: ec2.IVpc;
  readonly key: kms.IKey;
  readonly fileSystemSg: ec2.ISecurityGroup;
  readonly alarmTopic: sns.ITopic;
  readonly replicateTo?: efs.IFileSystem;
}

export class StorageStack extends Stack {
  public readonly fileSystem: efs.FileSystem;
  public readonly accessPoint: efs.AccessPoint;

  constructor(scope: Construct, id: string, props: StorageStackProps) {
    super(scope, id, props);
    const { replicateTo } = props;
    this.fileSystem = new efs.FileSystem(this, 'FileSystem', {
      vpc: props.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroup: props.fileSystemSg,
      encrypted: true,
      kmsKey: props.key,
      enableAutomaticBackups: true,
      throughputMode: efs.ThroughputMode.ELASTIC,
      lifecyclePolicy: efs.LifecyclePolicy.AFTER_30_DAYS,
      outOfInfrequentAccessPolicy: efs.OutOfInfrequentAccessPolicy.AFTER_1_ACCESS,
      fileSystemPolicy: policy(),
      allowAnonymousAccess: true,
      replicationOverwriteProtection: replicateTo ? undefined : efs.ReplicationOverwriteProtection.DISABLED,
      replicationConfiguration: replicateTo
        ? efs.ReplicationConfiguration.existingFileSystem(replicateTo)
        : undefined,
      removalPolicy: REMOVAL_POLICY,
    });
    this.accessPoint = this.fileSystem.addAccessPoint('AccessPoint', {
      path: '/app',
      posixUser: { uid: APPLICATION_USER, gid: APPLICATION_USER },
      createAcl: { ownerUid: APPLICATION_USER, ownerGid: APPLICATION_USER, permissions: '0750' },
    });
    if (replicateTo) {
      this.lagAlarm(props.settings, replicateTo, props.alarmTopic);
    }
    new CfnOutput(this, 'EfsId', { value: this.fileSystem.fileSystemId });
    new CfnOutput(this, 'EfsDnsName', {
      value: `${this.fileSystem.fileSystemId}.efs.${this.region}.${this.urlSuffix}`,
    });
  }

  private lagAlarm(settings: Settings, destination: efs.IFileSystem, topic: sns.ITopic): void {
    const alarm = new cloudwatch.Alarm(this, 'ReplicationLagAlarm', {
      alarmDescription: 'A failover now would lose more files than the objective allows',
      metric: new cloudwatch.Metric({
        namespace: 'AWS/EFS',
        metricName: 'TimeSinceLastSync',
        dimensionsMap: {
          FileSystemId: this.fileSystem.fileSystemId,
          DestinationFileSystemId: destination.fileSystemId,
        },
        statistic: 'Maximum',
        period: Duration.minutes(1),
      }),
      threshold: Math.max(settings.rpo.toSeconds(), REPLICATION_RPO.toSeconds()),
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 5,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
    });
    notify(alarm, topic);
  }
}

function policy(): iam.PolicyDocument {
  return new iam.PolicyDocument({
    statements: [
      new iam.PolicyStatement({
        sid: 'OnlyOverTls',
        effect: iam.Effect.DENY,
        principals: [new iam.AnyPrincipal()],
        actions: ['*'],
        conditions: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
      new iam.PolicyStatement({
        sid: 'OnlyThroughAnAccessPoint',
        effect: iam.Effect.DENY,
        principals: [new iam.AnyPrincipal()],
        actions: [
          'elasticfilesystem:ClientMount',
          'elasticfilesystem:ClientWrite',
          'elasticfilesystem:ClientRootAccess',
        ],
        conditions: { Null: { 'elasticfilesystem:AccessPointArn': 'true' } },
      }),
    ],
  });
}
