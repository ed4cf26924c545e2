/** One instance of the application: its image, its program, and what it may touch. */

import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { Aws, Fn, IgnoreMode, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as efs from 'aws-cdk-lib/aws-efs';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as s3assets from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { HTTP } from './security';
import { ROOT, type Settings } from './settings';

export const HEALTH_PATH = '/health';
export const SIGNALLED_RESOURCE = 'AutoScalingGroup';
const USER_DATA = path.join(ROOT, 'src', 'standby', 'blueprint', 'user_data.sh');

export interface InstanceProps {
  readonly settings: Settings;
  readonly key: kms.IKey;
  readonly role: iam.IRole;
  readonly securityGroup: ec2.ISecurityGroup;
  readonly fileSystem: efs.IFileSystem;
  readonly accessPoint: efs.IAccessPoint;
  readonly databaseEndpoint: string;
  readonly databaseSecretName: string;
}

export class Instance extends Construct {
  public readonly launchTemplate: ec2.LaunchTemplate;
  public readonly permissions: iam.Policy;

  constructor(scope: Construct, id: string, props: InstanceProps) {
    super(scope, id);
    const { settings, accessPoint, fileSystem } = props;
    const { region } = Stack.of(this);
    const program = new s3assets.Asset(this, 'Program', {
      path: settings.workloadPath,
      exclude: ['__pycache__', '.*'],
      ignoreMode: IgnoreMode.GIT,
    });
    const secretArn =
      `arn:${Aws.PARTITION}:secretsmanager:${region}:${Aws.ACCOUNT_ID}` +
      `:secret:${props.databaseSecretName}-??????`;
    this.permissions = new iam.Policy(this, 'Permissions', {
      roles: [props.role],
      statements: [
        new iam.PolicyStatement({
          sid: 'ReadDatabaseCredentials',
          actions: ['secretsmanager:GetSecretValue'],
          resources: [secretArn],
        }),
        new iam.PolicyStatement({
          sid: 'DecryptDatabaseCredentials',
          actions: ['kms:Decrypt'],
          resources: [props.key.keyArn],
          conditions: {
            StringEquals: { 'kms:ViaService': `secretsmanager.${region}.${Aws.URL_SUFFIX}` },
          },
        }),
        new iam.PolicyStatement({
          sid: 'MountSharedFiles',
          actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'],
          resources: [fileSystem.fileSystemArn],
          conditions: {
            StringEquals: { 'elasticfilesystem:AccessPointArn': accessPoint.accessPointArn },
          },
        }),
        new iam.PolicyStatement({
          sid: 'FetchProgram',
          actions: ['s3:GetObject'],
          resources: [`arn:${Aws.PARTITION}:s3:::${program.s3BucketName}/${program.s3ObjectKey}`],
        }),
      ],
    });
    const userData = Fn.sub(readFileSync(USER_DATA, 'utf8'), {
      AccessPoint: accessPoint.accessPointId,
      AssetBucket: program.s3BucketName,
      AssetKey: program.s3ObjectKey,
      DatabaseHost: props.databaseEndpoint,
      DatabaseName: settings.databaseName,
      DatabaseSecret: props.databaseSecretName,
      FileSystem: fileSystem.fileSystemId,
      Group: SIGNALLED_RESOURCE,
      HealthPath: HEALTH_PATH,
      Port: `${HTTP}`,
    });
    this.launchTemplate = new ec2.LaunchTemplate(this, 'LaunchTemplate', {
      machineImage: ec2.MachineImage.latestAmazonLinux2023(),
      instanceType: new ec2.InstanceType(settings.instanceType),
      role: props.role,
      securityGroup: props.securityGroup,
      userData: ec2.UserData.custom(userData),
      requireImdsv2: true,
      httpPutResponseHopLimit: 1,
      detailedMonitoring: true,
      blockDevices: [
        {
          deviceName: '/dev/xvda',
          volume: ec2.BlockDeviceVolume.ebs(16, {
            volumeType: ec2.EbsDeviceVolumeType.GP3,
            encrypted: true,
            kmsKey: props.key,
          }),
        },
      ],
    });
  }
}
