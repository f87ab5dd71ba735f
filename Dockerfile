# The service with its pages, for PostgreSQL: `docker build -t flex-identity .`
# Debian's slim image has the C library of the tests; Alpine's does not. The tests run on this version of Node, which has the longest support.

FROM node:24-slim AS build
WORKDIR /app
# Files that seldom change come first, so that Docker caches the installation.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --engine-strict
COPY tsconfig.json schema.graphql documents.graphql ./
COPY drizzle/migrations drizzle/migrations
COPY scripts scripts
COPY src src
COPY web web
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
# Clients reach a container from outside.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY drizzle/migrations drizzle/migrations
# This user owns none of these files. The service writes nothing here.
USER node
EXPOSE 4000
# Checks only the process. The proxy checks the database at /readyz, and a restart of the process would not repair it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Runs Node without npm, which would not pass on the stop signal. See also `init` in compose.yaml.
CMD ["node", "--max-old-space-size=256", "dist/main.js"]
