/** Who implements each interface, which Apollo Client cannot see in a document. */
export const possibleTypes = {
  IdentityError: [
    'InvalidCredentialsError',
    'ValidationError',
    'TimeoutError',
    'InvalidOneTimePasswordError',
    'NotFoundError',
    'TransmissionError',
    'InvalidSessionError',
  ],
  SecurityToken: ['EmailToken', 'PhoneToken'],
};
