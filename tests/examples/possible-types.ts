/** The types that implement each interface. Apollo Client cannot derive them from a document. */
export const possibleTypes = {
  IdentityError: [
    'InvalidCredentialsError',
    'ValidationError',
    'TimeoutError',
    'InvalidOneTimePasswordError',
    'NotFoundError',
    'TransmissionError',
    'InvalidSessionError',
    'StepUpRequiredError',
    'LastCredentialError',
  ],
  SecurityToken: ['EmailToken', 'PhoneToken'],
};
