// Accounts whose state is nothing but the sum of what has happened to them.
//
// event_sourcing.js BOOTSTRAP
//
// The log of events is the truth; what an account has is computed from it, at any time, up to any point,
// and again when the computation was wrong. Prints the accounts as replayed from the beginning, as
// they were at an earlier point, and as replayed from a snapshot of then and what came later.
'use strict'

const { consume, createTopics, main, send } = require('./course')

const EVENTS = [
  { type: 'opened', account: 'ada' },
  { type: 'deposited', account: 'ada', amount: 100 },
  { type: 'opened', account: 'ben' },
  { type: 'deposited', account: 'ben', amount: 50 },
  { type: 'withdrawn', account: 'ada', amount: 30 },
  { type: 'transferred', account: 'ada', to: 'ben', amount: 25 },
  { type: 'withdrawn', account: 'ben', amount: 75 },
  { type: 'closed', account: 'ben' },
  { type: 'deposited', account: 'ada', amount: 5 },
]
// Before the transfer.
const EARLIER = 5

// The state after an event. What was decided is not judged again: the event has happened.
function apply(accounts, event) {
  const { type, account, to, amount } = event
  const balance = accounts[account]
  switch (type) {
    case 'opened':
      return { ...accounts, [account]: 0 }
    case 'deposited':
      return { ...accounts, [account]: balance + amount }
    case 'withdrawn':
      return { ...accounts, [account]: balance - amount }
    case 'transferred':
      return { ...accounts, [account]: balance - amount, [to]: accounts[to] + amount }
    case 'closed': {
      const { [account]: _closed, ...others } = accounts
      return others
    }
    default:
      throw new Error(`an event that nobody knows: ${type}`)
  }
}

// Replays what is between two offsets, on top of a state.
async function replay(kafka, groupId, accounts, from, to) {
  const job = { groupId, topic: 'account-events', from, count: to - from }
  await consume(kafka, job, event => {
    accounts = apply(accounts, event)
  })
  return accounts
}

main(async kafka => {
  await createTopics(kafka, 'account-events')
  // One key for all: a transfer is about two accounts, and their order matters.
  await send(kafka, 'account-events', EVENTS, () => 'accounts')
  const now = await replay(kafka, 'accounts', {}, 0, EVENTS.length)
  // The same group has committed everything; it starts anew nevertheless.
  const earlier = await replay(kafka, 'accounts', {}, 0, EARLIER)
  const again = await replay(kafka, 'accounts-after-a-snapshot', earlier, EARLIER, EVENTS.length)
  return { now, earlier, again }
})
