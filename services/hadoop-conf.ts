import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import type { Certificate } from './certificate.ts'
import { HDFS_PRINCIPAL, HTTP_PRINCIPAL, type KerberosFiles } from './kerberos.ts'

/** The ports of a cluster on 127.0.0.1, in this order. */
export const HADOOP_PORTS = [
  ...['nameNode', 'nameNodeHttp', 'scheduler', 'tracker', 'resourceManager', 'admin', 'resourceManagerHttp'],
  ...['nodeManager', 'localizer', 'nodeManagerHttp', 'collector', 'shuffle'],
  ...['history', 'historyHttp', 'historyAdmin', 'nameNodeHttps', 'httpFs', 'kerberos'],
] as const
/** Those of one datanode: data, HTTP, IPC, HTTPS. */
export const DATANODE_PORTS = 4

export interface HadoopLayout {
  readonly folder: string
  /** One of `HADOOP_PORTS`. */
  readonly port: (name: string) => number
  /** The first of each one's ports. */
  readonly dataNodePorts: readonly number[]
  readonly lib: string
  /** WebHDFS also over TLS. */
  readonly certificate?: Certificate | undefined
  /** Everybody must show a ticket, or a token that was got for one. */
  readonly kerberos?: KerberosFiles | undefined
}

/** The configuration of all daemons and clients, and what differs between datanodes. */
export function writeHadoopConf(layout: HadoopLayout): void {
  const { folder, dataNodePorts } = layout
  const conf = join(folder, 'conf')
  // Without these the namenode's and the datanode's HTTP servers do not start; they may be empty.
  for (const webapp of ['hdfs', 'datanode']) mkdirSync(join(conf, 'webapps', webapp), { recursive: true })
  for (const name of ['log', 'data']) mkdirSync(join(folder, name), { recursive: true })
  const site = (file: string, properties: Readonly<Record<string, string | number>>): void =>
    writeFileSync(
      join(conf, file),
      `<?xml version="1.0"?>\n<configuration>\n${Object.entries(properties)
        .map(([name, value]) => `<property><name>${name}</name><value>${value}</value></property>\n`)
        .join('')}</configuration>\n`,
    )
  site('core-site.xml', core(layout))
  site('hdfs-site.xml', hdfs(layout))
  if (layout.certificate !== undefined) site('ssl-server.xml', tls(layout.certificate))
  site('httpfs-site.xml', httpFs(layout))
  writeFileSync(join(conf, 'httpfs-signature.secret'), 'millrace')
  site('mapred-site.xml', mapred(layout))
  site('yarn-site.xml', yarn(layout))
  site('capacity-scheduler.xml', {
    'yarn.scheduler.capacity.root.queues': 'default',
    'yarn.scheduler.capacity.root.default.capacity': 100,
    'yarn.scheduler.capacity.maximum-am-resource-percent': '1.0',
  })
  writeFileSync(
    join(conf, 'log4j.properties'),
    `log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
`,
  )
  dataNodePorts.forEach((port, i) => {
    const own = dataNodeConf(folder, i)
    mkdirSync(own, { recursive: true })
    writeFileSync(
      join(own, 'hdfs-site.xml'),
      `<?xml version="1.0"?>\n<configuration>\n${Object.entries({
        ...hdfs(layout),
        ...dataNode(folder, i, port),
        ...(layout.kerberos === undefined ? {} : ONLY_TLS),
      })
        .map(([name, value]) => `<property><name>${name}</name><value>${value}</value></property>\n`)
        .join('')}</configuration>\n`,
    )
  })
}

/** Where a datanode's own hdfs-site.xml lies; it comes first on its class path. */
export function dataNodeConf(folder: string, index: number): string {
  return join(folder, `conf-datanode-${index + 1}`)
}

function core({ folder, port, kerberos }: HadoopLayout) {
  return {
    ...(kerberos === undefined
      ? {}
      : {
          'hadoop.security.authentication': 'kerberos',
          'hadoop.security.authorization': 'true',
          // Else whoever gives a name over WebHDFS is believed.
          'hadoop.http.authentication.type': 'kerberos',
          'hadoop.http.authentication.kerberos.principal': HTTP_PRINCIPAL,
          'hadoop.http.authentication.kerberos.keytab': kerberos.keytab,
        }),
    'fs.defaultFS': `hdfs://127.0.0.1:${port('nameNode')}`,
    'hadoop.tmp.dir': join(folder, 'tmp'),
    'hadoop.http.staticuser.user': 'root',
    // HttpFS acts for its clients.
    [`hadoop.proxyuser.${userInfo().username}.hosts`]: '*',
    [`hadoop.proxyuser.${userInfo().username}.groups`]: '*',
  }
}

function tls({ keystore, password }: Certificate) {
  return {
    'ssl.server.keystore.type': 'pkcs12',
    'ssl.server.keystore.location': keystore,
    'ssl.server.keystore.password': password,
    'ssl.server.keystore.keypassword': password,
  }
}

function httpFs({ folder, port }: HadoopLayout) {
  return {
    'httpfs.http.hostname': '127.0.0.1',
    'httpfs.http.port': port('httpFs'),
    'httpfs.hadoop.config.dir': join(folder, 'conf'),
  }
}

function hdfs({ folder, port, dataNodePorts, certificate, kerberos }: HadoopLayout) {
  return {
    ...(kerberos === undefined ? {} : secured(kerberos)),
    ...(certificate === undefined
      ? {}
      : {
          'dfs.http.policy': 'HTTP_AND_HTTPS',
          'dfs.namenode.https-address': `127.0.0.1:${port('nameNodeHttps')}`,
          // Without Kerberos, too.
        }),
    'dfs.replication': dataNodePorts.length,
    'dfs.namenode.name.dir': `file://${join(folder, 'data', 'name')}`,
    'dfs.namenode.http-address': `127.0.0.1:${port('nameNodeHttp')}`,
    'dfs.namenode.rpc-bind-host': '127.0.0.1',
    'dfs.namenode.datanode.registration.ip-hostname-check': 'false',
    // Else a start with data waits 30 s in safe mode.
    'dfs.namenode.safemode.extension': 0,
    'dfs.namenode.resource.du.reserved': 0,
    'dfs.namenode.fs-limits.min-block-size': 1024,
    // A datanode that was killed is known to be dead after 2 × 1 s + 10 × 1 s, not after ten minutes.
    'dfs.heartbeat.interval': 1,
    'dfs.namenode.heartbeat.recheck-interval': 1000,
    // Between the last block and the end of a small file the datanode sleeps so long at first; the default is 400 ms.
    'dfs.client.block.write.locateFollowingBlock.initial.delay.ms': 5,
    'dfs.client.block.write.locateFollowingBlock.retries': 12,
    'dfs.client.block.write.replace-datanode-on-failure.policy': 'NEVER',
    'dfs.datanode.hostname': '127.0.0.1',
  }
}

function secured({ keytab }: KerberosFiles) {
  return {
    'dfs.block.access.token.enable': 'true',
    'dfs.namenode.kerberos.principal': HDFS_PRINCIPAL,
    'dfs.namenode.keytab.file': keytab,
    'dfs.datanode.kerberos.principal': HDFS_PRINCIPAL,
    'dfs.datanode.keytab.file': keytab,
    'dfs.web.authentication.kerberos.principal': HTTP_PRINCIPAL,
    'dfs.web.authentication.kerberos.keytab': keytab,
    'dfs.data.transfer.protection': 'authentication',
  }
}

function dataNode(folder: string, index: number, port: number) {
  return {
    'dfs.datanode.data.dir': `file://${join(folder, 'data', `node-${index + 1}`)}`,
    'dfs.datanode.address': `127.0.0.1:${port}`,
    'dfs.datanode.http.address': `127.0.0.1:${port + 1}`,
    // Else a disk with less than a gigabyte left counts as full.
    'dfs.datanode.round-robin-volume-choosing-policy.additional-available-space': 0,
    'dfs.datanode.ipc.address': `127.0.0.1:${port + 2}`,
    'dfs.datanode.https.address': `127.0.0.1:${port + 3}`,
  }
}

/** A datanode that knows whom it serves takes no port of root's, if it speaks only TLS. */
const ONLY_TLS = { 'dfs.http.policy': 'HTTPS_ONLY' }

const TASK_JVM = '-Xmx200m -XX:+UseSerialGC -XX:TieredStopAtLevel=1'

function mapred({ folder, port, lib }: HadoopLayout) {
  return {
    'mapreduce.application.classpath': `${join(folder, 'conf')},${join(lib, '*')}`,
    'mapreduce.jvm.add-opens-as-default': 'true',
    'yarn.app.mapreduce.am.resource.mb': 512,
    'yarn.app.mapreduce.am.command-opts': '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
    'mapreduce.map.memory.mb': 512,
    'mapreduce.reduce.memory.mb': 512,
    'mapreduce.map.java.opts': TASK_JVM,
    'mapreduce.reduce.java.opts': TASK_JVM,
    'mapreduce.task.io.sort.mb': 64,
    'mapreduce.job.reduce.slowstart.completedmaps': '1.0',
    'mapreduce.map.speculative': 'false',
    'mapreduce.reduce.speculative': 'false',
    'mapreduce.jobhistory.address': `127.0.0.1:${port('history')}`,
    'mapreduce.jobhistory.webapp.address': `127.0.0.1:${port('historyHttp')}`,
    'mapreduce.jobhistory.admin.address': `127.0.0.1:${port('historyAdmin')}`,
    'mapreduce.shuffle.port': port('shuffle'),
    'mapreduce.client.completion.pollinterval': 200,
    'mapreduce.client.progressmonitor.pollinterval': 200,
  }
}

function yarn({ folder, port }: HadoopLayout) {
  return {
    'yarn.resourcemanager.hostname': '127.0.0.1',
    'yarn.resourcemanager.bind-host': '127.0.0.1',
    'yarn.resourcemanager.scheduler.address': `127.0.0.1:${port('scheduler')}`,
    'yarn.resourcemanager.resource-tracker.address': `127.0.0.1:${port('tracker')}`,
    'yarn.resourcemanager.address': `127.0.0.1:${port('resourceManager')}`,
    'yarn.resourcemanager.admin.address': `127.0.0.1:${port('admin')}`,
    'yarn.resourcemanager.webapp.address': `127.0.0.1:${port('resourceManagerHttp')}`,
    'yarn.nodemanager.hostname': '127.0.0.1',
    'yarn.nodemanager.bind-host': '127.0.0.1',
    'yarn.nodemanager.address': `127.0.0.1:${port('nodeManager')}`,
    'yarn.nodemanager.localizer.address': `127.0.0.1:${port('localizer')}`,
    'yarn.nodemanager.webapp.address': `127.0.0.1:${port('nodeManagerHttp')}`,
    'yarn.nodemanager.collector-service.address': `127.0.0.1:${port('collector')}`,
    'yarn.nodemanager.aux-services': 'mapreduce_shuffle',
    'yarn.nodemanager.resource.memory-mb': 4096,
    'yarn.nodemanager.resource.cpu-vcores': 4,
    'yarn.scheduler.minimum-allocation-mb': 256,
    // What a task starts as `node` is this one: a container does not have its manager's PATH.
    'yarn.nodemanager.admin-env': `PATH=${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    // Node reserves much address space and uses little of it.
    'yarn.nodemanager.vmem-check-enabled': 'false',
    'yarn.nodemanager.pmem-check-enabled': 'false',
    'yarn.nodemanager.local-dirs': join(folder, 'data', 'yarn-local'),
    'yarn.nodemanager.log-dirs': join(folder, 'data', 'yarn-logs'),
    'yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage': '99.9',
    'yarn.nodemanager.delete.debug-delay-sec': 600,
    'yarn.nodemanager.sleep-delay-before-sigkill.ms': 100,
  }
}
