/** The explorer: a page with Apollo Sandbox and example operations. */
import type { ApolloServerPlugin } from '@apollo/server';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';

/** Operations for a first sign-up and sign-in. The documentation describes the others. */
export const exampleOperations = `# Run an operation with the triangle beside it. The variables are below.

mutation SignUp($input: CreateUserInput!) {
  createUser(input: $input) {
    __typename
    ... on CreateUserSuccess {
      user {
        id
        securityTokens {
          id
          name
        }
      }
      # For the header "authorization": "Bearer …"
      tokens {
        accessToken
      }
    }
    ... on IdentityError {
      code
      message
    }
    ... on ValidationError {
      issues {
        field
        code
      }
    }
  }
}

mutation SignIn($credentials: AuthenticateInput!) {
  authenticate(input: $credentials) {
    __typename
    ... on AuthenticateSuccess {
      tokens {
        accessToken
      }
    }
    ... on IdentityError {
      code
      message
    }
    ... on TimeoutError {
      retryAt
      retryAfterSeconds
    }
  }
}

query SecurityTokens($identifier: String!) {
  securityTokens(identifier: $identifier) {
    __typename
    id
    name
  }
}

# The message is in the outbox, at /dev/outbox.
mutation Send($tokenId: ID!) {
  sendOneTimePassword(tokenId: $tokenId, purpose: AUTHENTICATION) {
    __typename
    ... on IdentityError {
      message
    }
  }
}

mutation Check($tokenId: ID!, $oneTimePassword: String!) {
  checkOneTimePassword(tokenId: $tokenId, oneTimePassword: $oneTimePassword, purpose: AUTHENTICATION) {
    __typename
    ... on CheckOneTimePasswordSuccess {
      tokens {
        accessToken
      }
    }
    ... on IdentityError {
      code
      message
    }
  }
}

query WhoAmI {
  me {
    id
    username
    email
    emailVerified
    sessions {
      userAgent
      lastUsedAt
      current
    }
  }
}

query Policy {
  policy {
    passwordMinLength
    resendIntervalSeconds
  }
}
`;

export const exampleVariables = {
  input: { email: 'grace@example.com', password: 'violin under the stairs' },
  credentials: { identifier: 'grace@example.com', password: 'violin under the stairs' },
  identifier: 'grace@example.com',
  tokenId: '',
  oneTimePassword: '',
};

/** Serves the explorer to browsers that open `/graphql`. */
export function explorer(): ApolloServerPlugin {
  return ApolloServerPluginLandingPageLocalDefault({
    footer: false,
    // Telemetry could contain passwords and addresses.
    embed: { runTelemetry: false },
    document: exampleOperations,
    variables: exampleVariables,
  });
}
