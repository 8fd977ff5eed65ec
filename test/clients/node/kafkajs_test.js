// KafkaJS against a running broker: gzip, keys, headers, idempotence, a group with a rebalance, commit and resume, transactions. Usage: node kafkajs_test.js HOST:PORT
const assert = require('assert')
const { Kafka, CompressionTypes, logLevel } = require('kafkajs')

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR })
const run = `kafkajs-${Math.floor(Math.random() * 1e9)}`
const ok = (what) => console.log(`ok  kafkajs: ${what}`)
const eventually = async (condition, what) => {
  const deadline = Date.now() + 60000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

async function member(groupId, topic) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 500 })
  const state = { consumer, records: [], assigned: [] }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { state.assigned = payload.memberAssignment[topic] || [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ partition, message }) => { state.records.push({ partition, offset: Number(message.offset), value: String(message.value), message }) } })
  return state
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: run, numPartitions: 4 }] })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 5 })
  await producer.connect()
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
    const messages = Array.from({ length: 200 }, (_, i) => ({ key: `k${i}`, value: `${compression}-${i}`, partition: i % 4, headers: { h: 'header' } }))
    await producer.send({ topic: run, compression, messages, acks: -1 })
  }
  ok('idempotent producer, none and gzip')

  const a = await member(run, run)
  await eventually(() => a.assigned.length === 4, 'one member has all partitions')
  const b = await member(run, run)
  await eventually(() => a.assigned.length === 2 && b.assigned.length === 2, 'two members share')
  const values = () => new Set([...a.records, ...b.records].map((r) => r.value))
  await eventually(() => values().size === 400, 'all records are read')
  assert.strictEqual(String([...a.records, ...b.records][0].message.headers.h), 'header')
  await a.consumer.disconnect()
  await eventually(() => b.assigned.length === 4, 'the one that stays takes over')
  await producer.send({ topic: run, messages: Array.from({ length: 40 }, (_, i) => ({ value: `late-${i}`, partition: i % 4 })) })
  await eventually(() => values().size === 440, 'all records are read after one left')
  ok('group with a rebalance')

  await b.consumer.disconnect()
  const offsets = (await admin.fetchOffsets({ groupId: run, topics: [run] }))[0].partitions
  assert.strictEqual(offsets.reduce((sum, p) => sum + Number(p.offset), 0), 440)
  await admin.setOffsets({ groupId: run, topic: run, partitions: [{ partition: 1, offset: '100' }] })
  const c = await member(run, run)
  await eventually(() => c.records.length >= 10, 'reading goes on at what was committed')
  assert.deepStrictEqual(c.records.map((r) => [r.partition, r.offset]), Array.from({ length: 10 }, (_, i) => [1, 100 + i]))
  const described = await admin.describeGroups([run])
  assert.strictEqual(described.groups[0].state, 'Stable')
  await c.consumer.disconnect()
  await admin.deleteGroups([run])
  ok('commit, resume, administration')

  const topic = `${run}-transactions`
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  const transactional = kafka.producer({ transactionalId: run, maxInFlightRequests: 1, idempotent: true })
  await transactional.connect()
  for (const turn of [0, 1, 2, 3]) {
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: Array.from({ length: 10 }, (_, i) => ({ value: `${turn}-${i}` })) })
    await transaction.sendOffsets({ consumerGroupId: topic, topics: [{ topic: run, partitions: [{ partition: 0, offset: String(turn) }] }] })
    await (turn % 2 === 0 ? transaction.commit() : transaction.abort())
  }
  const reader = await member(`${topic}-reader`, topic)
  await eventually(() => reader.records.length >= 20, 'committed records are read')
  assert.deepStrictEqual(reader.records.map((r) => r.value), [0, 2].flatMap((turn) => Array.from({ length: 10 }, (_, i) => `${turn}-${i}`)))
  const committed = (await admin.fetchOffsets({ groupId: topic, topics: [run] }))[0].partitions.find((p) => p.partition === 0)
  assert.strictEqual(committed.offset, '2')
  await reader.consumer.disconnect()
  await transactional.disconnect()
  ok('transactions with offsets, committed and aborted')
  await producer.disconnect()
  await admin.deleteTopics({ topics: [run, topic] })
  await admin.disconnect()
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })
