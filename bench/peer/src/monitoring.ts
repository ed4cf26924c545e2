/** Monitoring: who is told when something is wrong, and the one picture of both regions. */

import { ArnFormat, Aws, CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { Settings } from './settings';

const HEALTH_CHECK_METRICS_REGION = 'us-east-1';
const GRID_WIDTH = 24;
const WIDGET_HEIGHT = 6;

export interface MonitoringStackProps extends StackProps {
  readonly key: kms.IKey;
}

export class MonitoringStack extends Stack {
  public readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: MonitoringStackProps) {
    super(scope, id, props);
    this.topic = new sns.Topic(this, 'AlarmTopic', { masterKey: props.key, enforceSSL: true });
    this.topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AlarmsOfThisAccountPublish',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID },
          ArnLike: {
            'aws:SourceArn': this.formatArn({
              service: 'cloudwatch',
              resource: 'alarm',
              resourceName: '*',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    new CfnOutput(this, 'AlarmTopicArn', { value: this.topic.topicArn });
  }
}

export function notify(alarm: cloudwatch.Alarm, topic: sns.ITopic): cloudwatch.Alarm {
  const action = new actions.SnsAction(topic);
  alarm.addAlarmAction(action);
  alarm.addOkAction(action);
  return alarm;
}

export interface Side {
  readonly region: string;
  readonly loadBalancer: string;
  readonly targetGroup: string;
  readonly autoScalingGroup: string;
  readonly database: string;
  readonly fileSystem: string;
  readonly healthCheck: string;
}

type Dimensions = Record<string, string>;
type Metric = [namespace: string, name: string, dimensions: Dimensions, statistic: string, label?: string];
interface Widget {
  readonly type: string;
  readonly properties: object;
}

export function addDashboard(
  scope: Construct,
  settings: Settings,
  primary: Side,
  standby: Side,
  latch: string,
): void {
  const checks: [string, string][] = [
    [primary.healthCheck, `primary ${primary.region}`],
    [standby.healthCheck, `standby ${standby.region}`],
    [latch, 'failover latch'],
  ];
  const health = graph(
    'Health checks: 1 is healthy',
    HEALTH_CHECK_METRICS_REGION,
    checks.map(([check, label]) => [
      'AWS/Route53',
      'HealthCheckStatus',
      { HealthCheckId: check },
      'Minimum',
      label,
    ]),
  );
  const replication = graph('Seconds the standby is behind', standby.region, [
    ['AWS/RDS', 'ReplicaLag', { DBInstanceIdentifier: standby.database }, 'Maximum'],
  ]);
  const files = { FileSystemId: primary.fileSystem, DestinationFileSystemId: standby.fileSystem };
  const sync = graph('Seconds since the files were last in step', primary.region, [
    ['AWS/EFS', 'TimeSinceLastSync', files, 'Maximum'],
  ]);
  const left = region('Primary', primary);
  const right = region('Standby', standby);
  const pairs = left.map((widget, row) => [widget, right[row]!]);
  new cloudwatch.CfnDashboard(scope, 'Dashboard', {
    dashboardName: settings.stackName,
    dashboardBody: Stack.of(scope).toJsonString({ widgets: grid([health], [sync, replication], ...pairs) }),
  });
}

function region(title: string, side: Side): Widget[] {
  const balancer = { LoadBalancer: side.loadBalancer };
  const targets = { TargetGroup: side.targetGroup, ...balancer };
  const group = { AutoScalingGroupName: side.autoScalingGroup };
  const database = { DBInstanceIdentifier: side.database };
  const rows: Record<string, Metric[]> = {
    'requests and errors': [
      ['AWS/ApplicationELB', 'RequestCount', balancer, 'Sum'],
      ['AWS/ApplicationELB', 'HTTPCode_ELB_5XX_Count', balancer, 'Sum'],
      ['AWS/ApplicationELB', 'HTTPCode_Target_5XX_Count', balancer, 'Sum'],
    ],
    'response time': [['AWS/ApplicationELB', 'TargetResponseTime', balancer, 'p99']],
    hosts: [
      ['AWS/ApplicationELB', 'HealthyHostCount', targets, 'Minimum'],
      ['AWS/ApplicationELB', 'UnHealthyHostCount', targets, 'Maximum'],
      ['AWS/AutoScaling', 'GroupDesiredCapacity', group, 'Average'],
      ['AWS/AutoScaling', 'GroupInServiceInstances', group, 'Average'],
    ],
    CPU: [
      ['AWS/EC2', 'CPUUtilization', group, 'Average', 'instances'],
      ['AWS/RDS', 'CPUUtilization', database, 'Average', 'database'],
    ],
    'database connections': [['AWS/RDS', 'DatabaseConnections', database, 'Maximum']],
    'database free storage': [['AWS/RDS', 'FreeStorageSpace', database, 'Minimum']],
  };
  return Object.entries(rows).map(([what, metrics]) =>
    graph(`${title} ${side.region}: ${what}`, side.region, metrics),
  );
}

function graph(title: string, region: string, metrics: Metric[]): Widget {
  return {
    type: 'metric',
    properties: {
      title,
      region,
      period: 60,
      view: 'timeSeries',
      metrics: metrics.map(([namespace, name, dimensions, stat, label]) => [
        namespace,
        name,
        ...Object.entries(dimensions).flat(),
        { stat, ...(label ? { label } : {}) },
      ]),
    },
  };
}

function grid(...rows: Widget[][]): object[] {
  return rows.flatMap((row, number) => {
    const width = Math.floor(GRID_WIDTH / row.length);
    return row.map((widget, column) => ({
      ...widget,
      x: column * width,
      y: number * WIDGET_HEIGHT,
      width,
      height: WIDGET_HEIGHT,
    }));
  });
}
