# The service with its pages, for PostgreSQL: `docker build -t flex-identity .`
# Debian's slim image and not Alpine's: the C library is the one that the tests run on. The version of Node is one that they run on, and is kept up the longest.

FROM node:24-slim AS build
WORKDIR /app
# First what seldom changes, so that it is installed once.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --engine-strict
COPY tsconfig.json schema.graphql documents.graphql ./
COPY drizzle/migrations drizzle/migrations
COPY scripts scripts
COPY src src
COPY web web
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
# A container is reached from outside of it.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY drizzle/migrations drizzle/migrations
# Who owns none of these files: the service writes nothing here.
USER node
EXPOSE 4000
# Whether the process answers. That the database does too is asked by the proxy, at /readyz: to end this process would mend nothing.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Node itself and not npm, which would swallow the signal to stop. It has no children to reap, but see `init` in compose.yaml.
CMD ["node", "--max-old-space-size=256", "dist/main.js"]
