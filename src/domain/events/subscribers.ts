/** Subscribers of events. Entry points pass this list to `createApp`. */
import type { Subscriber } from '../../app/app.js';
import { auditSubscriber } from './audit.js';
import { noticeSubscriber } from './notices.js';

export const subscribers: readonly Subscriber[] = [auditSubscriber, noticeSubscriber];
