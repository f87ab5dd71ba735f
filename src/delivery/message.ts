/** The messages that the service sends, before they are rendered. */

export type Channel = 'email' | 'sms';

export interface Recipient {
  channel: Channel;
  /** the address as stored */
  to: string;
}

/** A one-time password for the owner of an address. */
export interface OneTimePasswordMessage extends Recipient {
  kind: 'one-time-password';
  purpose: 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  tokenId: string;
  oneTimePassword: string;
  lifetimeSeconds: number;
}

/** A change of an account that its owner is told about. */
export type NoticeEvent =
  | { type: 'password-changed' }
  /** `dropped`: kinds of the addresses that the reset removed */
  | { type: 'password-reset'; dropped: ('email' | 'phone')[] }
  | { type: 'username-changed' }
  | { type: 'address-added' | 'address-verified' | 'address-removed' | 'address-lost'; field: 'email' | 'phone' }
  /** `account`: the id of another account; null for that of the recipient */
  | { type: 'role-changed'; role: 'isStaff' | 'isSuperuser'; granted: boolean; account: string | null }
  | { type: 'new-device'; userAgent: string | null; ipAddress: string | null }
  | { type: 'refresh-token-reused'; userAgent: string | null }
  | { type: 'account-deleted' };

/** Tells the owner of an account about a change. */
export interface NoticeMessage extends Recipient {
  kind: 'notice';
  event: NoticeEvent;
}

export type Message = OneTimePasswordMessage | NoticeMessage;
