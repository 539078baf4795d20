package main

import "github.com/IBM/sarama"

func strategies(version sarama.KafkaVersion) []string {
	names := []string{"range", "roundrobin", "sticky"}
	if version.IsAtLeast(sarama.V2_4_0_0) {
		names = append(names, "cooperative-sticky")
	}
	return names
}

func setStrategy(config *sarama.Config, name string) {
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(),
		"sticky": sarama.NewBalanceStrategySticky(), "cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky(),
	}[name]}
}

func setIncrementally(admin sarama.ClusterAdmin, topic, key, value string) error {
	change := map[string]sarama.IncrementalAlterConfigsEntry{
		key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}
	return admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false)
}
