/** What is sent to people, before it is put in words. */

export type Channel = 'email' | 'sms';

export interface Addressed {
  channel: Channel;
  /** the address as stored */
  to: string;
}

/** A one-time password for the holder of an address. */
export interface OneTimePasswordMessage extends Addressed {
  kind: 'one-time-password';
  purpose: 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  tokenId: string;
  oneTimePassword: string;
  lifetimeSeconds: number;
}

/** What was done to an account. */
export type NoticeEvent =
  | { type: 'password-changed' }
  | { type: 'address-changed'; field: 'email' | 'phone' }
  | { type: 'new-device'; userAgent: string | null; ipAddress: string | null }
  | { type: 'session-copied'; userAgent: string | null }
  | { type: 'account-deleted' };

/** Word to the owner of what was done to the account. */
export interface NoticeMessage extends Addressed {
  kind: 'notice';
  event: NoticeEvent;
}

export type Message = OneTimePasswordMessage | NoticeMessage;
