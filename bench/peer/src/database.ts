/** Database: PostgreSQL in the primary region, and its replica in the standby region. */

import { Aws, CfnOutput, Duration, SecretValue, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { notify } from './monitoring';
import { LOG_RETENTION, REMOVAL_POLICY } from './retention';
import { keyAlias, POSTGRESQL } from './security';
import type { Settings } from './settings';

const ENGINE_VERSION = '16.15';
const PARAMETER_FAMILY = 'postgres16';
const MASTER_USERNAME = 'standby';
const EXPORTED_LOGS = ['postgresql', 'upgrade'];
const CONNECTIONS_PER_INSTANCE = 10;
const OPERATOR_CONNECTIONS = 20;
const GIB = 2 ** 30;

export function primaryIdentifier(settings: Settings): string {
  return `db-primary-${settings.environmentSuffix}`;
}

export function replicaIdentifier(settings: Settings): string {
  return `db-replica-${settings.environmentSuffix}`;
}

export function secretName(settings: Settings): string {
  return `standby/${settings.environmentSuffix}/database`;
}

export interface DatabaseStackProps extends StackProps {
  readonly settings: Settings;
  readonly vpc: ec2.IVpc;
  readonly key: kms.IKey;
  readonly databaseSg: ec2.ISecurityGroup;
  readonly alarmTopic: sns.ITopic;
}

interface AlarmOptions {
  readonly metric: string;
  readonly description: string;
  readonly threshold: number;
  readonly comparison?: cloudwatch.ComparisonOperator;
}

export abstract class DatabaseStack extends Stack {
  public readonly identifier: string;
  public readonly endpointAddress: string;
  protected readonly instance: rds.CfnDBInstance;
  protected readonly settings: Settings;
  protected readonly key: kms.IKey;
  private readonly props: DatabaseStackProps;

  constructor(scope: Construct, id: string, identifier: string, props: DatabaseStackProps) {
    super(scope, id, props);
    this.props = props;
    this.settings = props.settings;
    this.key = props.key;
    this.identifier = identifier;
    this.instance = this.create(this.origin());
    this.endpointAddress = this.instance.attrEndpointAddress;
  }

  /** Say where the instance's data comes from. */
  protected abstract origin(): rds.CfnDBInstanceProps;

  private create(origin: rds.CfnDBInstanceProps): rds.CfnDBInstance {
    const { settings } = this;
    const instance = new rds.CfnDBInstance(this, 'Instance', {
      dbInstanceIdentifier: this.identifier,
      dbInstanceClass: settings.databaseInstanceClass,
      engine: 'postgres',
      port: `${POSTGRESQL}`,
      storageType: 'gp3',
      maxAllocatedStorage: settings.databaseMaxStorageGib,
      kmsKeyId: this.key.keyArn,
      multiAz: true,
      publiclyAccessible: false,
      dbSubnetGroupName: this.subnetGroup().ref,
      vpcSecurityGroups: [this.props.databaseSg.securityGroupId],
      dbParameterGroupName: this.parameterGroup().ref,
      autoMinorVersionUpgrade: true,
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: false,
      deletionProtection: settings.deletionProtection,
      enableCloudwatchLogsExports: EXPORTED_LOGS,
      enableIamDatabaseAuthentication: true,
      enablePerformanceInsights: true,
      performanceInsightsKmsKeyId: this.key.keyArn,
      performanceInsightsRetentionPeriod: 7,
      monitoringInterval: 60,
      monitoringRoleArn: this.monitoringRole().roleArn,
      ...origin,
    });
    instance.node.addDependency(...this.logGroups());
    acknowledge(instance, {
      'AwsSolutions-RDS10': 'A setting (deletionProtection); on in the prod preset.',
      'AwsSolutions-RDS11':
        'Another port hides nothing from whom the security group admits, and it admits nobody else.',
    });
    new CfnOutput(this, 'DbEndpoint', { value: instance.attrEndpointAddress });
    this.instanceAlarms(instance);
    return instance;
  }

  private subnetGroup(): rds.CfnDBSubnetGroup {
    return new rds.CfnDBSubnetGroup(this, 'SubnetGroup', {
      dbSubnetGroupDescription: `Isolated subnets for ${this.identifier}`,
      subnetIds: this.props.vpc.isolatedSubnets.map((subnet) => subnet.subnetId),
    });
  }

  private parameterGroup(): rds.CfnDBParameterGroup {
    return new rds.CfnDBParameterGroup(this, 'ParameterGroup', {
      family: PARAMETER_FAMILY,
      description: `TLS only, and the connections of the fleet, for ${this.identifier}`,
      parameters: {
        'rds.force_ssl': '1',
        max_connections: `${maxConnections(this.settings)}`,
      },
    });
  }

  private monitoringRole(): iam.Role {
    const role = new iam.Role(this, 'MonitoringRole', {
      assumedBy: new iam.ServicePrincipal('monitoring.rds.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
      description: 'Lets RDS publish enhanced monitoring',
      managedPolicies: [
        iam.ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonRDSEnhancedMonitoringRole'),
      ],
    });
    acknowledge(role, {
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole]':
        "RDS documents this policy for the purpose; it reaches RDS's own log groups only, and only " +
        'RDS can assume the role.',
    });
    return role;
  }

  private logGroups(): logs.LogGroup[] {
    return EXPORTED_LOGS.map(
      (log) =>
        new logs.LogGroup(this, `${log.charAt(0).toUpperCase()}${log.slice(1)}LogGroup`, {
          logGroupName: `/aws/rds/instance/${this.identifier}/${log}`,
          encryptionKey: this.key,
          retention: LOG_RETENTION,
          removalPolicy: REMOVAL_POLICY,
        }),
    );
  }

  private instanceAlarms(instance: rds.CfnDBInstance): void {
    this.alarm('CpuAlarm', instance, {
      metric: 'CPUUtilization',
      description: 'The database works at its limit; queries begin to queue',
      threshold: 80,
    });
    this.alarm('FreeStorageAlarm', instance, {
      metric: 'FreeStorageSpace',
      description: 'Storage runs out faster than its autoscaling, which acts below 10%',
      threshold: this.settings.databaseStorageGib * GIB * 0.05,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
    });
    this.alarm('ConnectionsAlarm', instance, {
      metric: 'DatabaseConnections',
      description: 'Four fifths of max_connections are taken: a leak, or a fleet too large',
      threshold: maxConnections(this.settings) * 0.8,
    });
  }

  protected alarm(id: string, instance: rds.CfnDBInstance, options: AlarmOptions): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: `${this.identifier}: ${options.description}`,
      metric: new cloudwatch.Metric({
        namespace: 'AWS/RDS',
        metricName: options.metric,
        dimensionsMap: { DBInstanceIdentifier: instance.ref },
        period: Duration.minutes(1),
      }),
      threshold: options.threshold,
      comparisonOperator: options.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: 5,
      treatMissingData: cloudwatch.TreatMissingData.BREACHING,
    });
    notify(alarm, this.props.alarmTopic);
  }
}

export class PrimaryDatabaseStack extends DatabaseStack {
  constructor(scope: Construct, id: string, props: DatabaseStackProps) {
    super(scope, id, primaryIdentifier(props.settings), props);
    this.instance.applyRemovalPolicy(REMOVAL_POLICY);
  }

  protected origin(): rds.CfnDBInstanceProps {
    const { settings } = this;
    const secret = this.secret();
    new CfnOutput(this, 'DbCredentialsSecret', { value: secret.ref });
    return {
      engineVersion: ENGINE_VERSION,
      allocatedStorage: `${settings.databaseStorageGib}`,
      storageEncrypted: true,
      dbName: settings.databaseName,
      masterUsername: MASTER_USERNAME,
      masterUserPassword: SecretValue.secretsManager(secret.ref, { jsonField: 'password' }).unsafeUnwrap(),
      backupRetentionPeriod: settings.backupRetentionDays,
    };
  }

  private secret(): secretsmanager.CfnSecret {
    const { settings } = this;
    const secret = new secretsmanager.CfnSecret(this, 'Credentials', {
      name: secretName(settings),
      description: `Credentials of ${this.identifier} and its replica`,
      kmsKeyId: this.key.keyArn,
      generateSecretString: {
        secretStringTemplate: `{"username": "${MASTER_USERNAME}"}`,
        generateStringKey: 'password',
        passwordLength: 32,
        excludePunctuation: true,
      },
      replicaRegions: [
        { region: settings.standbyRegion, kmsKeyId: keyAlias(settings, settings.standbyRegion) },
      ],
    });
    secret.applyRemovalPolicy(REMOVAL_POLICY);
    acknowledge(secret, {
      'AwsSolutions-SMG4':
        'Rotation takes a Lambda function in the VPC, and one that rotates in the middle of a ' +
        'failover locks the application out. Operators sign in with IAM tokens; the ' +
        "application's password is rotated by a deployment.",
    });
    return secret;
  }
}

export class ReplicaDatabaseStack extends DatabaseStack {
  constructor(scope: Construct, id: string, props: DatabaseStackProps) {
    super(scope, id, replicaIdentifier(props.settings), props);
    this.instance.applyRemovalPolicy(REMOVAL_POLICY);
    const encrypted =
      "A replica is encrypted as its source is, here with this region's key (KmsKeyId); " +
      'CloudFormation refuses StorageEncrypted beside SourceDBInstanceIdentifier.';
    acknowledge(this.instance, {
      'AwsSolutions-RDS2': encrypted,
      CKV_AWS_16: encrypted,
      E3720: encrypted,
    });
    this.alarm('ReplicaLagAlarm', this.instance, {
      metric: 'ReplicaLag',
      description: 'A failover now would lose more than the recovery point objective allows',
      threshold: this.settings.rpo.toSeconds(),
    });
  }

  protected origin(): rds.CfnDBInstanceProps {
    const { settings } = this;
    return {
      sourceRegion: settings.primaryRegion,
      sourceDbInstanceIdentifier: this.formatArn({
        service: 'rds',
        region: settings.primaryRegion,
        resource: 'db',
        resourceName: primaryIdentifier(settings),
      }).replace('db/', 'db:'),
    };
  }
}

function maxConnections(settings: Settings): number {
  return 2 * settings.maxCapacity * CONNECTIONS_PER_INSTANCE + OPERATOR_CONNECTIONS;
}
