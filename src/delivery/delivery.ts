/** What is sent to people, and the interface that every way of sending it has. */

/** A one-time password for the holder of an address. */
export interface Message {
  channel: Channel;
  /** the address as stored */
  to: string;
  purpose: 'VERIFICATION' | 'AUTHENTICATION' | 'PASSWORD_RESET';
  tokenId: string;
  oneTimePassword: string;
  lifetimeSeconds: number;
}

export type Channel = 'email' | 'sms';

/** Hands a message to whoever carries it. Rejects where it was not accepted. */
export type Deliver = (message: Message) => Promise<void>;
