/** Access tokens: JWTs of RFC 9068, signed with ES256. */
import {
  type CryptoKey,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importJWK,
  importPKCS8,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose';

const algorithm = 'ES256';
const type = 'at+jwt';
/**
 * Three parts in base64url. A signature leaves four bits of its last character unused, and they
 * must be zero.
 */
const form = /^[\w-]+\.[\w-]+\.[\w-]{85}[AQgw]$/;

export interface SigningKey {
  id: string;
  privateKey: CryptoKey;
}

export interface VerificationKey {
  id: string;
  publicKey: CryptoKey;
  publicJwk: JWK;
}

export interface AccessTokenClaims {
  userId: string;
  sessionId: string;
  issuedAt: Date;
  expiresAt: Date;
  authenticatedAt: Date;
  /** @see RFC 8176 */
  methods: string[];
  /** @see OpenID Connect Core §5.1, as for the next one */
  emailVerified: boolean;
  phoneNumberVerified: boolean;
  roles: string[];
}

/**
 * The claims of a token with a valid signature. The clock of the database decides whether it has
 * expired.
 */
export interface VerifiedAccessToken {
  userId: string;
  sessionId: string;
  expiresAt: Date;
}

/** Generates a key pair: the private key as PKCS #8, and the public JWK. */
export async function newSigningKey(id: string): Promise<{ pkcs8: string; publicJwk: Record<string, string> }> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  // Invariant: every member of the JWK of an EC key is a string.
  const jwk = (await exportJWK(publicKey)) as Record<string, string>;
  return { pkcs8: await exportPKCS8(privateKey), publicJwk: { ...jwk, kid: id, alg: algorithm, use: 'sig' } };
}

/** Imports a private key. @throws for a text that is not a PKCS #8 EC key */
export async function importSigningKey(id: string, pkcs8: string): Promise<SigningKey> {
  return { id, privateKey: await importPKCS8(pkcs8, algorithm) };
}

/** Imports a public key. @throws for a JWK that is not a public EC key */
export async function importVerificationKey(id: string, publicJwk: JWK): Promise<VerificationKey> {
  const publicKey = await importJWK(publicJwk, algorithm);
  if (publicKey instanceof Uint8Array) throw new Error(`the key ${id} is symmetric`);
  return { id, publicKey, publicJwk };
}

/** Signs an access token. Rounds its times down to seconds. @param issuer also the audience */
export async function signAccessToken(key: SigningKey, issuer: string, claims: AccessTokenClaims): Promise<string> {
  return new SignJWT({
    sid: claims.sessionId,
    auth_time: seconds(claims.authenticatedAt),
    amr: claims.methods,
    email_verified: claims.emailVerified,
    phone_number_verified: claims.phoneNumberVerified,
    roles: claims.roles,
  })
    .setProtectedHeader({ alg: algorithm, typ: type, kid: key.id })
    .setIssuer(issuer)
    .setAudience(issuer)
    .setSubject(claims.userId)
    .setIssuedAt(seconds(claims.issuedAt))
    .setExpirationTime(seconds(claims.expiresAt))
    .sign(key.privateKey);
}

/**
 * Verified tokens by the list of keys. A key refresh creates a new list, which clears the cache.
 */
const verified = new WeakMap<readonly VerificationKey[], Map<string, VerifiedAccessToken>>();
const maxVerified = 10_000;

/**
 * Returns the claims of a token that one of the keys signed for the issuer, or undefined. Caches
 * verified signatures.
 */
export async function verifyAccessToken(
  keys: readonly VerificationKey[],
  issuer: string,
  token: string,
): Promise<VerifiedAccessToken | undefined> {
  const known = verified.get(keys) ?? new Map<string, VerifiedAccessToken>();
  verified.set(keys, known);
  const name = `${issuer} ${token}`;
  const found = known.get(name) ?? (await verifySignature(keys, issuer, token));
  if (found === undefined) return undefined;
  if (known.size >= maxVerified) known.clear();
  known.set(name, found);
  return found;
}

async function verifySignature(
  keys: readonly VerificationKey[],
  issuer: string,
  token: string,
): Promise<VerifiedAccessToken | undefined> {
  if (!form.test(token)) return undefined;
  try {
    const { payload } = await jwtVerify(
      token,
      ({ kid }) => keys.find((key) => key.id === kid)?.publicKey ?? unknownKey(),
      {
        algorithms: [algorithm],
        typ: type,
        issuer,
        audience: issuer,
        requiredClaims: ['sub', 'sid', 'iat', 'exp'],
        // Skip the check of `exp`: the clocks of replicas differ, so the database checks it.
        currentDate: new Date(0),
      },
    );
    const { sub, sid, exp } = payload;
    if (typeof sub !== 'string' || typeof sid !== 'string' || exp === undefined) return undefined;
    return { userId: sub, sessionId: sid, expiresAt: new Date(exp * 1000) };
  } catch {
    return undefined;
  }
}

function unknownKey(): never {
  throw new Error('the token names an unknown key');
}

function seconds(instant: Date): number {
  return Math.floor(instant.getTime() / 1000);
}
