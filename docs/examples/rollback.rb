# SPDX-License-Identifier: BSD-2-Clause
# Goes back by itself, from Ruby: run it with "tracer ruby rollback.rb". See docs/protocol.md.
FOLDER = ENV.fetch('TRACER_CONTROL_DIR')
$stdout.sync = true

# Asks for a checkpoint or a rollback. Returns which of them has brought us here.
# readable_real? is access(2); other questions of Ruby are no polls.
def ask(what)
  request = "#{FOLDER}/ready_to_#{what}"
  File.open(request, 'w') {}
  loop do
    is_asked = File.exist?(request)
    %w[rollback checkpoint].each do |answer|
      next unless File.readable_real?("#{FOLDER}/#{answer}_complete")
      File.unlink("#{FOLDER}/#{answer}_complete")
      File.unlink(request) if answer == 'checkpoint'
      return answer
    end
    raise 'the tracer could not do it' unless is_asked
  end
end

numbers = (0..999).to_a
if ask('checkpoint') == 'checkpoint'
  numbers = numbers.map { |n| n * n }
  puts "try #{numbers.sum}"
  ask('rollback')
end
puts "back #{numbers.sum}"
