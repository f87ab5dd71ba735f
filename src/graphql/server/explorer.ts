/** The explorer: Apollo's Sandbox, embedded in a page, with operations to begin with. */
import type { ApolloServerPlugin } from '@apollo/server';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';

/** What a first conversation needs. The README tells what comes after it. */
export const exampleOperations = `# Choose one by the triangle beside it. The variables are below.

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

query WaysToProve($identifier: String!) {
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

query Rules {
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
    // What is tried out with an identity API is nobody's business.
    embed: { runTelemetry: false },
    document: exampleOperations,
    variables: exampleVariables,
  });
}
