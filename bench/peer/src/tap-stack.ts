/** The root stack: the one place that knows both regions and how their stacks depend. */

import { type App, Stack, type StackProps } from 'aws-cdk-lib';
import type * as efs from 'aws-cdk-lib/aws-efs';
import type * as route53 from 'aws-cdk-lib/aws-route53';
import { ComputeStack } from './compute';
import { type DatabaseStack, PrimaryDatabaseStack, ReplicaDatabaseStack, secretName } from './database';
import { DnsStack } from './dns';
import { addDashboard, MonitoringStack, type Side } from './monitoring';
import { VpcStack } from './network';
import { VpcPeeringRoutesStack, VpcPeeringStack } from './peering';
import { ResilienceStack } from './resilience';
import { SecurityStack } from './security';
import { type Settings, tags } from './settings';
import { StorageStack } from './storage';

interface Region {
  readonly side: string;
  readonly name: string;
  readonly network: VpcStack;
  readonly security: SecurityStack;
  readonly monitoring: MonitoringStack;
}

export class TapStack extends Stack {
  private readonly settings: Settings;

  constructor(app: App, settings: Settings) {
    super(app, settings.stackName, stackProps(settings, settings.stackName, settings.primaryRegion));
    this.settings = settings;
    const primary = this.createRegion(
      'Primary',
      settings.primaryRegion,
      settings.primaryCidr,
      settings.standbyCidr,
    );
    const standby = this.createRegion(
      'Standby',
      settings.standbyRegion,
      settings.standbyCidr,
      settings.primaryCidr,
    );
    this.peer(primary, standby);
    const standbyFiles = this.files(standby);
    const primaryFiles = this.files(primary, standbyFiles.fileSystem);
    const [source, replica] = this.databases(primary, standby);
    const primaryCompute = this.compute(primary, settings.minCapacity, primaryFiles, source.endpointAddress);
    const standbyCompute = this.compute(
      standby,
      settings.standbyMinCapacity,
      standbyFiles,
      replica.endpointAddress,
    );
    standbyCompute.addStackDependency(
      primaryCompute,
      'the first primary instance makes the directory that is replicated',
    );
    const dns = new DnsStack(this, 'Dns', {
      ...this.child('Dns', standby.name),
      settings,
      primaryLoadBalancer: primaryCompute.loadBalancer,
      standbyLoadBalancer: standbyCompute.loadBalancer,
      alarmTopic: standby.monitoring.topic,
    });
    new ResilienceStack(this, 'Resilience', {
      ...this.child('Resilience', primary.name),
      settings,
      vpc: primary.network.vpc,
      key: primary.security.key,
      alarmTopic: primary.monitoring.topic,
      stacks: this.node.children.filter(Stack.isStack),
    });
    addDashboard(
      this,
      settings,
      side(primaryCompute, source, primaryFiles, dns.primaryCheck),
      side(standbyCompute, replica, standbyFiles, dns.standbyCheck),
      dns.latchCheck.attrHealthCheckId,
    );
  }

  private createRegion(side: string, region: string, cidr: string, peerCidr: string): Region {
    const { settings } = this;
    const network = new VpcStack(this, `VpcStack-${side}`, {
      ...this.child(`VpcStack-${side}`, region),
      settings,
      cidr,
    });
    const security = new SecurityStack(this, `Security${side}`, {
      ...this.child(`Security${side}`, region),
      settings,
      vpc: network.vpc,
      peerCidr,
    });
    const monitoring = new MonitoringStack(this, `Monitoring${side}`, {
      ...this.child(`Monitoring${side}`, region),
      key: security.key,
    });
    return { side, name: region, network, security, monitoring };
  }

  private peer(primary: Region, standby: Region): void {
    const peering = new VpcPeeringStack(this, 'VpcPeering', {
      ...this.child('VpcPeering', primary.name),
      vpc: primary.network.vpc,
      routeTableIds: primary.network.routeTableIds,
      peerVpc: standby.network.vpc,
      peerCidr: this.settings.standbyCidr,
      peerRegion: standby.name,
    });
    new VpcPeeringRoutesStack(this, 'VpcPeeringRoutes', {
      ...this.child('VpcPeeringRoutes', standby.name),
      routeTableIds: standby.network.routeTableIds,
      peerCidr: this.settings.primaryCidr,
      connectionId: peering.connectionId,
    });
  }

  private files(region: Region, replicateTo?: efs.IFileSystem): StorageStack {
    return new StorageStack(this, `Storage${region.side}`, {
      ...this.child(`Storage${region.side}`, region.name),
      settings: this.settings,
      vpc: region.network.vpc,
      key: region.security.key,
      fileSystemSg: region.security.fileSystemSg,
      alarmTopic: region.monitoring.topic,
      replicateTo,
    });
  }

  private databases(primary: Region, standby: Region): [PrimaryDatabaseStack, ReplicaDatabaseStack] {
    const props = (region: Region) => ({
      ...this.child(`Database${region.side}`, region.name),
      settings: this.settings,
      vpc: region.network.vpc,
      key: region.security.key,
      databaseSg: region.security.databaseSg,
      alarmTopic: region.monitoring.topic,
    });
    const source = new PrimaryDatabaseStack(this, 'DatabasePrimary', props(primary));
    const replica = new ReplicaDatabaseStack(this, 'DatabaseStandby', props(standby));
    source.addStackDependency(
      standby.security,
      "its secret is replicated under the standby's key, by alias",
    );
    replica.addStackDependency(source, 'it replicates the primary instance, by name');
    return [source, replica];
  }

  private compute(
    region: Region,
    minCapacity: number,
    files: StorageStack,
    databaseEndpoint: string,
  ): ComputeStack {
    const { security } = region;
    return new ComputeStack(this, `Compute${region.side}`, {
      ...this.child(`Compute${region.side}`, region.name),
      settings: this.settings,
      minCapacity,
      vpc: region.network.vpc,
      key: security.key,
      instanceRole: security.instanceRole,
      loadBalancerSg: security.loadBalancerSg,
      instanceSg: security.instanceSg,
      fileSystem: files.fileSystem,
      accessPoint: files.accessPoint,
      databaseEndpoint,
      databaseSecretName: secretName(this.settings),
      alarmTopic: region.monitoring.topic,
    });
  }

  private child(id: string, region: string): StackProps {
    return stackProps(this.settings, `${this.stackName}-${id}`, region);
  }
}

function stackProps(settings: Settings, stackName: string, region: string): StackProps {
  return {
    stackName,
    env: { region },
    crossRegionReferences: true,
    terminationProtection: settings.deletionProtection,
    tags: tags(settings),
  };
}

function side(
  compute: ComputeStack,
  database: DatabaseStack,
  files: StorageStack,
  check: route53.CfnHealthCheck,
): Side {
  return {
    region: compute.region,
    loadBalancer: compute.loadBalancer.loadBalancerFullName,
    targetGroup: compute.targetGroup.targetGroupFullName,
    autoScalingGroup: compute.autoScalingGroup.autoScalingGroupName,
    database: database.identifier,
    fileSystem: files.fileSystem.fileSystemId,
    healthCheck: check.attrHealthCheckId,
  };
}
