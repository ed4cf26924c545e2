/** What outlives its stack. */

import { RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';

export const LOG_RETENTION = logs.RetentionDays.THREE_MONTHS;
export const REMOVAL_POLICY = RemovalPolicy.DESTROY;
