/** What src/standby/settings.py gives when nobody sets anything. */

import * as path from 'node:path';
import { Duration } from 'aws-cdk-lib';

/** The repository; this file is compiled to bench/peer/dist. */
export const ROOT = path.resolve(__dirname, '..', '..', '..');

export interface Settings {
  readonly environmentSuffix: string;
  readonly stackName: string;
  readonly primaryRegion: string;
  readonly standbyRegion: string;
  readonly primaryCidr: string;
  readonly standbyCidr: string;
  readonly subnetMask: number;
  readonly azCount: number;
  readonly natGateways: number;
  readonly instanceType: string;
  readonly minCapacity: number;
  readonly maxCapacity: number;
  readonly standbyMinCapacity: number;
  readonly databaseInstanceClass: string;
  readonly databaseStorageGib: number;
  readonly databaseMaxStorageGib: number;
  readonly databaseName: string;
  readonly backupRetentionDays: number;
  readonly deletionProtection: boolean;
  readonly healthCheckInterval: number;
  readonly healthCheckFailures: number;
  readonly rto: Duration;
  readonly rpo: Duration;
  readonly workloadPath: string;
  readonly repository: string;
  readonly author: string;
}

export const settings: Settings = {
  environmentSuffix: 'dev',
  stackName: 'TapStackdev',
  primaryRegion: 'eu-west-2',
  standbyRegion: 'eu-west-3',
  primaryCidr: '10.0.0.0/16',
  standbyCidr: '10.1.0.0/16',
  subnetMask: 19,
  azCount: 2,
  natGateways: 1,
  instanceType: 't3.small',
  minCapacity: 2,
  maxCapacity: 6,
  standbyMinCapacity: 2,
  databaseInstanceClass: 'db.t4g.medium',
  databaseStorageGib: 20,
  databaseMaxStorageGib: 200,
  databaseName: 'app',
  backupRetentionDays: 7,
  deletionProtection: false,
  healthCheckInterval: 10,
  healthCheckFailures: 3,
  rto: Duration.minutes(15),
  rpo: Duration.minutes(5),
  workloadPath: path.join(ROOT, 'workload'),
  repository: 'unknown',
  author: 'unknown',
};

export function tags(settings: Settings): Record<string, string> {
  return {
    Environment: settings.environmentSuffix,
    Repository: settings.repository,
    Author: settings.author,
  };
}
